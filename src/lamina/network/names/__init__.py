"""The names of containers: a DNS server at 127.0.0.11 in each sandbox on a user network, by a process of its own."""

"""The text of the nftables table: its sets, and the chains that decide by them."""

from __future__ import annotations

# Why each chain is there:
# raw: what does not come from the loopback neither goes to it nor claims to come from it (route_localnet on our bridges
#   would let both through; for IPv6 the kernel sees to it). A container sends from addresses that are reached through
#   its own bridge, and does not tell the host where to send packets. In an isolated network the host has no address.
# direct: other machines reach a container by its published ports, never by its address, even when they route it here,
#   unless its network is of the gateway mode routed or nat-unprotected, or it trusts the interface they come by.
# publish: a connection to one of the host's own addresses goes to the container. Link-local senders and the loopback of
#   IPv6 cannot be translated: what they send reaches the proxy.
# postrouting: containers go out under the host's address, or the one that was chosen for their network. A client in
#   one of our networks, and the host's loopback, are hidden behind the bridge, so that the answers come back this
#   way.
# forward: decided for each packet by the ports that are published now, and never by "established" alone: a connection
#   that should not be there does not live on. What is routed back into the network it came from passes, unless
#   containers may not talk to each other. Internal networks are closed for good, and so is a family of addresses that a
#   network does not have.
_CHAINS = """\
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
    iifname != "lo" ip saddr 127.0.0.0/8 drop
    iifname . ip saddr @isolated4 accept
    iifname . ip6 saddr @isolated6 accept
    iifname @bridges fib saddr . iif oif missing drop
    iifname @bridges icmpv6 type { nd-router-advert, nd-redirect } drop
  }
  chain direct {
    type filter hook prerouting priority mangle; policy accept;
    iifname "lo" accept
    iifname @bridges accept
    iifname . ip daddr . meta l4proto . th dport @trusted4 accept
    iifname . ip6 daddr . meta l4proto . th dport @trusted6 accept
    ip daddr @closed4 ct direction original drop
    ip6 daddr @closed6 ct direction original drop
  }
  chain publish4 {
    dnat ip to ip daddr . meta l4proto . th dport map @bound4
    dnat ip to meta l4proto . th dport map @any4
  }
  chain publish6 {
    ip6 saddr fe80::/10 return
    ip6 daddr ::1 return
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound6
    dnat ip6 to meta l4proto . th dport map @any6
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    meta nfproto ipv4 fib daddr type local jump publish4
    meta nfproto ipv6 fib daddr type local jump publish6
  }
  chain output {
    type nat hook output priority -100; policy accept;
    meta nfproto ipv4 fib daddr type local jump publish4
    meta nfproto ipv6 fib daddr type local jump publish6
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != @bridges snat ip to ip saddr map @sources4
    oifname != @bridges snat ip6 to ip6 saddr map @sources6
    oifname != @bridges ip saddr @masqueraded4 masquerade
    oifname != @bridges ip6 saddr @masqueraded6 masquerade
    oifname @bridges ct status dnat ip saddr @masqueraded4 masquerade
    oifname @bridges ct status dnat ip6 saddr @masqueraded6 masquerade
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    iifname @bridges iifname . meta nfproto != @served drop
    oifname @bridges oifname . meta nfproto != @served drop
    oifname != @bridges accept
    oifname . meta nfproto @unprotected accept
    iifname . meta nfproto @unprotected ct direction reply accept
    oifname . meta nfproto @routed meta l4proto { icmp, ipv6-icmp } accept
    iifname . meta nfproto @routed meta l4proto { icmp, ipv6-icmp } ct direction reply accept
    iifname . ip daddr . meta l4proto . th dport @trusted4 accept
    iifname . ip6 daddr . meta l4proto . th dport @trusted6 accept
    ip daddr . meta l4proto . th dport @opened4 accept
    ip6 daddr . meta l4proto . th dport @opened6 accept
    ct direction reply ip saddr . meta l4proto . th sport @opened4 accept
    ct direction reply ip6 saddr . meta l4proto . th sport @opened6 accept
    ct status dnat ct direction original ip daddr . meta l4proto . th dport @targets4 accept
    ct status dnat ct direction original ip6 daddr . meta l4proto . th dport @targets6 accept
    ct status dnat ct direction reply ip saddr . meta l4proto . th sport @targets4 accept
    ct status dnat ct direction reply ip6 saddr . meta l4proto . th sport @targets6 accept
    ct status dnat ct state related meta l4proto { icmp, ipv6-icmp } accept
    iifname != @bridges ct direction reply ct state established,related accept
    drop
  }
"""
_BY_INTERFACE = {
    "bridges": "set bridges { type ifname; ELEMENTS }",
    "same": "set same { type ifname . ifname; ELEMENTS }",
    "internal": "set internal { type ifname; ELEMENTS }",
    "served": "set served { type ifname . nf_proto; ELEMENTS }",
    "routed": "set routed { type ifname . nf_proto; ELEMENTS }",
    "unprotected": "set unprotected { type ifname . nf_proto; ELEMENTS }",
}
_BY_ADDRESS = {
    "closed": "set closedN { type ipvN_addr; flags interval; ELEMENTS }",
    "masqueraded": "set masqueradedN { type ipvN_addr; flags interval; ELEMENTS }",
    "sources": "map sourcesN { type ipvN_addr : ipvN_addr; flags interval; ELEMENTS }",
    "isolated": "set isolatedN { type ifname . ipvN_addr; flags interval; ELEMENTS }",
    "targets": "set targetsN { type ipvN_addr . inet_proto . inet_service; ELEMENTS }",
    "trusted": "set trustedN { type ifname . ipvN_addr . inet_proto . inet_service; ELEMENTS }",
    "opened": "set openedN { type ipvN_addr . inet_proto . inet_service; ELEMENTS }",
    "any": "map anyN { type inet_proto . inet_service : ipvN_addr . inet_service; ELEMENTS }",
    "bound": "map boundN { type ipvN_addr . inet_proto . inet_service : ipvN_addr . inet_service; ELEMENTS }",
}
_SETS = _BY_INTERFACE | {
    f"{name}{version}": text.replace("N {", f"{version} {{").replace("ipvN", f"ipv{version}")
    for name, text in _BY_ADDRESS.items()
    for version in (4, 6)
}
SET_NAMES = tuple(_SETS)

Elements = dict[str, dict[str, str]]  # by set: element, and for a map what the element leads to


def whole_table(table: str, elements: Elements) -> str:
    """Return the commands that put a table with these elements in the place of whatever is there."""
    lines = []
    for name, members in elements.items():
        text = ", ".join(f"{key}{value}" for key, value in members.items())
        lines.append("  " + _SETS[name].replace("ELEMENTS", f"elements = {{ {text} }}" if text else ""))
    sets = "\n".join(lines)
    return f"{removal(table)}table inet {table} {{\n{sets}\n{_CHAINS}}}\n"


def removal(table: str) -> str:
    """Return the commands that remove the table, there or not. Earlier versions had one of the family ip."""
    return "".join(f"add table {family} {table}\ndelete table {family} {table}\n" for family in ("ip", "inet"))

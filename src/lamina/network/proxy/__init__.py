"""Connections that the kernel's address translation does not reach, carried by a process of their own."""

"""Bridges, endpoints, addresses, published ports and the name files of containers."""

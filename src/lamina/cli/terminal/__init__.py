"""The terminal side of containers: raw mode, detaching, signals, and pumping bytes both ways."""

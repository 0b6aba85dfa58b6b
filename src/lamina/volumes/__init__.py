"""Named places for data that outlives containers."""

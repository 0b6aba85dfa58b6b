"""Control groups, v1, v2 and both at once: where they are, freezing, and what they count."""

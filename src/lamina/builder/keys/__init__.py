"""What decides whether a vertex must run, and the memory of what vertices made."""

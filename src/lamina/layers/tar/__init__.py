"""The tar format: a reader for what images contain in the wild, and a deterministic writer."""

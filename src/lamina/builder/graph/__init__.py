"""A build as a graph: what is to be made from what, as values that know nothing of how they are made or shown."""

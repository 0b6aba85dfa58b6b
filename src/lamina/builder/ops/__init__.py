"""Running the vertices of a build graph. What one makes is a stack of layers."""

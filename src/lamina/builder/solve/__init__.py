"""Solving a build graph: which vertices run, when, and how often. It does not know what they do."""

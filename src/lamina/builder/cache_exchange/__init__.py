"""The cache of builds at registries: steps that one engine made, for the builds of another."""

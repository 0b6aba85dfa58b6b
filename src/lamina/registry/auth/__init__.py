"""Who asks the registry, and what they may do."""

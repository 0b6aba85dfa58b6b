"""Images at registries, looked into without a pull."""

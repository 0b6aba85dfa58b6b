"""What the registry does for each operation of the API."""

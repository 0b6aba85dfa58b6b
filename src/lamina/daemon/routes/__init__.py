"""The groups of endpoints. Each file holds one group's routes and names the backend that it needs."""

"""Values as the JSON objects of the Engine API: pure functions; the API version decides on what came and went."""

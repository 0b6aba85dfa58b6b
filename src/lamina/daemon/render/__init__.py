"""Values as the JSON objects of the Engine API, by pure functions: each API version has its members."""

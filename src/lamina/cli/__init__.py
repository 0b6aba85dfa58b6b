"""The command line: Docker's commands over the Engine API. It knows the client and the formats, never the engine."""

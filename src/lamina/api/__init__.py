"""The Engine API's requests and answers as typed values: one vocabulary for command line, client, daemon and engine."""

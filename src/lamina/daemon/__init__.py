"""The Docker Engine API in front of an Engine: routes as data, one error table, streams and taken-over connections."""

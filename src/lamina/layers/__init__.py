"""Changesets of files: reading and writing tars, compression, diffs, and unpacking that stays inside its root."""

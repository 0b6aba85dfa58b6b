"""Thin, typed wrappers of Linux system calls that Python lacks: one file per topic, OSError on failure."""

"""Containers: create, start, stop, exec, attach, logs, stats, copy, health, restart."""

"""Snapshots: layers in, a mounted tree out; one interface, and a driver for what each kernel and file system can do."""

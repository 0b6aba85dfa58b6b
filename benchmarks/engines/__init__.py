"""lamina beside the other engines of this machine: the same work in turn, in one run. `make bench` runs it."""

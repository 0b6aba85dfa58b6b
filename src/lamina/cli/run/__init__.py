"""From the flags of `run` and `create` to the request the daemon gets, and through the container's life."""

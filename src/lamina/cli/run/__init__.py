"""`run` and `create`: their flags, the request that is made of them, and the life of the container."""

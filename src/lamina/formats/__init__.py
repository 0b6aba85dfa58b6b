"""Values of the image world, without I/O: digests, references, platforms, descriptors, manifests, indexes, configs."""

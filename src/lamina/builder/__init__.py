"""Building images from Dockerfiles: contexts, planned file changes, the step cache, RUN steps, classic output."""

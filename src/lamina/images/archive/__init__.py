"""Images as archives: docker-archive in its three ages, and the OCI image layout; in and out."""

"""What the registry knows: repositories, tags, manifests, links to blobs. One set of SQL, on SQLite or PostgreSQL."""

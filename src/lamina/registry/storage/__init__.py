"""Where the bytes of blobs and unfinished uploads live: local files or an object store."""

"""Content by digest (blobs and layers), and the metadata that says what is there and who needs it."""

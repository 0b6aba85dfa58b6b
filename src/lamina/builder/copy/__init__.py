"""COPY and ADD: which files are meant, where they land, what identifies them, and the layer they make."""

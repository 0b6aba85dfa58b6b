"""Images as values, what people do with them, and the archives they travel in."""

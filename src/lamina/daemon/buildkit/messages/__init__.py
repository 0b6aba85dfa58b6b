"""The messages of BuildKit's protocol that lamina reads and writes, with the numbers of their fields."""

"""The explorer in the terminal. It needs the extra `lamina[explore]`."""

"""What is in images: where each file is from, what is wasted, and how two images differ."""

"""What a build gives: images, indexes, archives, folders, and pushes, made from the images of one or more platforms."""

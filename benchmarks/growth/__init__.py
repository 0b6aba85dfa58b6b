"""How the engine's cost grows with the number of files, containers, images and layers."""

"""What earlier builds left for later ones: records of steps, how they are found again, and why one was not."""

"""What a build says of its images: how they were made (SLSA provenance), and which packages are in them (SPDX)."""

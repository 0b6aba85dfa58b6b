"""Checks of a Dockerfile: what works today and will surprise somebody, found in the text and in what bases say."""

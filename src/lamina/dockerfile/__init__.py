"""The Dockerfile language: text, syntax nodes, typed instructions, word expansion, ignore patterns.

It knows no images and no stores.
"""

"""The packages in an image's files: what dpkg, apk, rpm, pip and npm noted there, read without running anything."""

"""Build contexts: the trees that COPY and ADD read, from a directory in place, a tar, a URL or a git repository."""

"""The keys under which BuildKit's solver would keep the steps of a Dockerfile, for caches that both engines use."""

"""Running registries, and clients and stores for them."""

from support.registry_fixtures import (
    anywhere,
    bucket,
    client,
    other_store,
    postgres,
    postgres_server,
    raw,
    registry,
    seaweed,
    start,
    store,
)

__all__ = [
    "anywhere",
    "bucket",
    "client",
    "other_store",
    "postgres",
    "postgres_server",
    "raw",
    "registry",
    "seaweed",
    "start",
    "store",
]

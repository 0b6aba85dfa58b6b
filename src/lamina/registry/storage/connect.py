"""An object store from a URL: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, `gs://…`, `az://…`, `file:///DIR`.

Query parameters are the store's options. Credentials come from where the store's own tools look for them (AWS_… and so
on), so that they need not stand in a command line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from lamina.errors import InvalidInput

if TYPE_CHECKING:
    from obstore.store import ObjectStore


def connect(url: str) -> ObjectStore:
    """The store; nothing is asked of it yet. Raises InvalidInput for a URL or option that is not understood."""
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    plain = str(options.get("endpoint", "")).startswith("http:")
    bare = parts._replace(query="").geturl()
    retries = {"max_retries": 6, "retry_timeout": timedelta(seconds=30)}
    if parts.scheme == "file":
        return LocalStore(parts.path, mkdir=True)
    make: Callable[..., ObjectStore] = from_url
    try:
        return make(bare, config=options, client_options={"allow_http": plain}, retry_config=retries)
    except (BaseError, ValueError, TypeError) as error:
        raise InvalidInput(f"The storage {bare} is not understood: {type(error).__name__}") from error

"""What a client answers a daemon that asks for content of its folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.api.build import BuildRequest, CacheOption
from lamina.cancellation import NEVER
from lamina.client.address import parse_address
from lamina.client.build_content import CacheFolders
from lamina.client.transport import Transport
from lamina.errors import Forbidden
from lamina.formats.digest import Digest


@pytest.mark.parametrize("what", ["size", "send", "fetch", "finish"])
def test_only_folders_of_the_request_are_opened(tmp_path: Path, what: str) -> None:
    caches = (CacheOption("local", {"src": str(tmp_path / "read")}),)
    folders = CacheFolders(BuildRequest(cache_imports=caches), Transport(parse_address("unix:///nowhere")), NEVER)
    names = ["/etc", str(tmp_path), str(tmp_path / "read/..")]
    names += [str(tmp_path / "read")] if what in ("fetch", "finish") else []
    for name in names:
        with pytest.raises(Forbidden, match="which the build does not name"):
            folders.answer({"Call": "c", "Folder": name, "Do": what, "Digest": str(Digest.of(b""))})

"""One upload over several replicas."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lamina.formats.digest import Digest
from support.registries import Raw, Start

PART = bytes(range(256)) * 1000


@pytest.mark.peer
def test_an_upload_goes_on_where_another_replica_ended(start: Start, postgres: str, tmp_path: Path) -> None:
    replicas = [start(root=None, storage=f"file://{tmp_path}/objects", database=postgres) for _ in range(3)]
    with closing(Raw(replicas[0].address)) as raw:
        place = raw("POST", "/v2/a/blobs/uploads/", b"").headers["Location"]
        assert raw("PATCH", place, PART).status == 202
    replicas[0].stop()
    with closing(Raw(replicas[1].address)) as raw:
        assert raw("GET", place).headers["Range"] == f"0-{len(PART) - 1}"
        assert raw("PATCH", place, PART, Content_Range=f"{len(PART)}-{2 * len(PART) - 1}").status == 202
    with closing(Raw(replicas[2].address)) as raw:
        digest = Digest.of(PART * 2 + b"end")
        assert raw("PUT", f"{place}?digest={digest}", b"end").status == 201
    with closing(Raw(replicas[1].address)) as raw:
        assert raw("GET", f"/v2/a/blobs/{digest}").body == PART * 2 + b"end"
        middle = raw("GET", f"/v2/a/blobs/{digest}", Range=f"bytes={len(PART) - 5}-{len(PART) + 4}")
        assert (middle.status, middle.body) == (206, PART[-5:] + PART[:5])

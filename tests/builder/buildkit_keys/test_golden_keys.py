"""The keys of steps are those that a real BuildKit writes.

`copies.json` has the records of a cache that dockerd 28.5.2 exported with mode=max for `copies.Dockerfile`, without
their layers. `tests/daemon/buildkit/test_shared_caches.py` compares with the BuildKit that is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import BuildRequest, CacheOption
from lamina.builder.buildkit_keys.content_hash import HashedTree, Selector, selected_digests
from lamina.builder.buildkit_keys.key_records import digest_of, output_digest
from lamina.builder.buildkit_keys.operations import Process, exec_operation
from lamina.builder.cache.records import CachedKey
from lamina.builder.cache_exchange.buildkit_records import KeyedRecords
from lamina.builder.context.source import from_directory
from lamina.formats.platform import Platform
from support.shared_caches import FILES
from support.workshop import Workshop

HERE = Path(__file__).parent
IGNORED = "Dockerfile\n.dockerignore\n"
EXPORTING = BuildRequest(cache_exports=(CacheOption("local", {"dest": "/nowhere"}),))


def golden() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((HERE / "copies.json").read_text())
    return [{**record, "layers": [{"layer": 0}] if record.get("result") else []} for record in records]


def test_copies_have_the_keys_of_buildkit(workshop: Workshop) -> None:
    text = (HERE / "copies.Dockerfile").read_text()
    folder = workshop.context(text, {**FILES, ".dockerignore": IGNORED})
    keys = [step for step in workshop.run(from_directory(folder), EXPORTING).cached if isinstance(step, CachedKey)]
    theirs = KeyedRecords.read(golden(), [], "golden")
    assert [key.record.digest for key in keys if not theirs.matching(key.record)] == []
    numbers = {number for key in keys for number in theirs.matching(key.record)}
    assert numbers >= {number for number, record in enumerate(golden()) if record["layers"]}


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize(
    ("process", "digest"),
    [
        (
            Process(
                ["/bin/sh", "-c", 'echo "$VERSION <&>" > /v'],
                {"VERSION": "1", "TOOL": "hammer", "PATH": "/bin:/usr/bin"},
                "/",
                "",
            ),
            "sha256:9324e049e056f1b308e8b43961064590a4550195e5ee14411ccf9bc1dbc7652b",
        ),
        (
            Process(
                ["/bin/sh", "-c", "id=1; echo $TOOL > /tmp/x"],
                {"VERSION": "1", "TOOL": "hammer", "PATH": "/bin:/usr/bin"},
                "/tools/data",
                "user",
            ),
            "sha256:f2b63d20aba0198f64423f7697c6b7b38dea2ec1034abba2382b8a750825b49f",
        ),
        (
            Process(
                ["/bin/sh", "-e", "-c", "echo heredoc\ntouch /hd\n"],
                {"PATH": PATH, "TARGETARCH": "amd64", "B": "2", "A": "3"},
                "/w/",
                "",
            ),
            "sha256:48a65d2dea2612ddd9b14519add6ecb16ea3866d190b829209cf6aa5c31b0367",
        ),
    ],
    ids=["escaped", "user", "document"],
)
def test_a_run_has_the_key_of_buildkit(process: Process, digest: str) -> None:
    """The digests are from a cache that dockerd 28.5.2 exported."""
    assert output_digest(digest_of(exec_operation(process, Platform("linux", "amd64"))), 0) == digest


def test_files_that_change_while_they_are_copied_leave_no_key(workshop: Workshop) -> None:
    """The hash is of other bytes than the layer may have."""
    folder = workshop.context("FROM scratch\nCOPY a.txt /\nCOPY b.txt /\n", FILES)
    context = from_directory(folder)
    with context:
        assert context.tree is not None
        hashed = HashedTree(context.tree, is_context=True)
        (first,) = selected_digests(hashed, [Selector("/a.txt")])
        assert hashed.is_unchanged()
        (folder / "a.txt").write_text("other\n")
        assert not hashed.is_unchanged()
        assert selected_digests(hashed, [Selector("/a.txt")]) != [first]

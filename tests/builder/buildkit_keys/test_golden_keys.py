"""The keys of steps are those that a real BuildKit writes.

`copies.json` has the records of a cache that dockerd 28.5.2 exported with mode=max for `copies.Dockerfile`, without
their layers. `tests/daemon/buildkit/test_shared_caches.py` compares with the BuildKit that is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lamina.api.build import BuildRequest, CacheOption
from lamina.builder.buildkit_keys.content_hash import HashedTree, Selector, Undecided, selected_digests
from lamina.builder.buildkit_keys.key_records import KeyRecord, digest_of, image_record, output_digest
from lamina.builder.buildkit_keys.mount_keys import MountSource, exec_mounts
from lamina.builder.buildkit_keys.operations import Process, exec_operation
from lamina.builder.buildkit_keys.stage_keys import StageKeys
from lamina.builder.cache.records import CachedKey
from lamina.builder.cache_exchange.buildkit_records import KeyedRecords
from lamina.builder.context.source import from_directory
from lamina.dockerfile.mounts import parse_mount
from lamina.formats.platform import Platform
from support.shared_caches import FILES
from support.workshop import Workshop

HERE = Path(__file__).parent
IGNORED = "Dockerfile\n.dockerignore\n"
EXPORTING = BuildRequest(cache_exports=(CacheOption("local", {"dest": "/nowhere"}),))


def golden() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((HERE / "copies.json").read_text())
    return [{**record, "layers": [{"layer": 0}] if record.get("result") else []} for record in records]


def with_inputs(key: KeyRecord) -> Iterator[KeyRecord]:
    """A key, and those that it links to."""
    yield key
    for links in key.inputs:
        for link in links:
            yield from with_inputs(link.record)


def test_copies_have_the_keys_of_buildkit(workshop: Workshop) -> None:
    text = (HERE / "copies.Dockerfile").read_text()
    folder = workshop.context(text, {**FILES, ".dockerignore": IGNORED})
    steps = [step for step in workshop.run(from_directory(folder), EXPORTING).cached if isinstance(step, CachedKey)]
    theirs = KeyedRecords.read(golden(), [], "golden")
    assert [step.record.digest for step in steps if not theirs.matching(step.record)] == []
    keys = {key for step in steps for key in with_inputs(step.record)}
    numbers = {number for key in keys for number in theirs.matching(key)}
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


@pytest.mark.parametrize(
    ("flags", "digest"),
    [
        ("type=cache,target=/root/.cache", "e56e6382eacd437fda51b2458c7fb5b55314b43fb42c0e4a1ddda155ca620a31"),
        (
            "type=cache,target=rel,id=other,sharing=locked",
            "d9c9ace5399ddae25c8e8926c7339da4a92a7894856369d6471d8f50839d34a6",
        ),
        (
            "type=cache,target=/cc,uid=1000,mode=0700",
            "0c6ba493d152ccfc8ff959bde2078c2c7226f82ce6e7364e98f668109e439e44",
        ),
        ("type=bind,target=/src", "edf00ffa0f397c7c3d233e87cb0010c03d7e65740aae06541440c5cc06106f75"),
        (
            "target=/x,source=a.txt target=/a,source=dir/sub,type=bind",
            "80b692d2f64c763723d2101d90af46c3559609825af564616714526f2a1f4446",
        ),
        (
            "type=tmpfs,target=/tt,size=1m type=tmpfs,target=/uu",
            "808a2faccfdd84fe5db5efce63231f00fe660ec71ea7691da18cca2a2aafa91d",
        ),
        ("type=secret,id=tok", "8a55769dd11ece31cf9c6477ae5b69f4a08fd01bde8e05042b1c70257ec1d462"),
        (
            "type=secret,id=tok,target=/x/y,uid=5,mode=0440 type=secret,id=tok,env=T",
            "5deb85a39b6090b0065a90228a5c0906c6b759b3ed9ed75e6f08e2096469905a",
        ),
    ],
)
def test_mounts_have_the_form_that_buildkit_hashes(flags: str, digest: str) -> None:
    """The digests are from a cache that dockerd 28.5.2 exported. They say nothing of the inputs."""
    base, shown = (image_record("sha256:1"),), (image_record("sha256:2"),)
    mounts = [parse_mount(text, str) for text in flags.split()]
    sources = [(flag, MountSource(shown) if flag.type == "bind" else None) for flag in mounts]
    made = exec_mounts(StageKeys(base, directory="/w"), base, sources, None)
    command = ["/bin/sh", "-c", "true"]
    process = Process(command, {"PATH": PATH}, "/w", "", mounts=made.members, secrets=made.secrets)
    operation = exec_operation(process, Platform("linux", "amd64"))
    assert output_digest(digest_of(operation), 0) == f"sha256:{digest}"
    assert len(made.inputs) == 1 + any(flag.type == "bind" or flag.uid == 1000 for flag in mounts)


@pytest.mark.parametrize(
    "flags",
    ["type=cache,target=/c,source=x", "type=ssh", "target=/a target=/a", "type=tmpfs,target=/,size=1"],
)
def test_mounts_whose_form_is_not_certain_leave_a_step_without_a_key(flags: str) -> None:
    base, shown = (image_record("sha256:1"),), (image_record("sha256:2"),)
    sources = [(parse_mount(text, str), MountSource(shown)) for text in flags.split()]
    with pytest.raises(Undecided):
        exec_mounts(StageKeys(base), base, sources, None)


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


@pytest.mark.parametrize(
    ("lines", "request_"),
    [
        ("COPY --exclude=o* dir /d/\nCOPY a.txt /", EXPORTING),
        ("COPY --parents dir/one /\nCOPY a.txt /", EXPORTING),
        ("COPY a.txt /", replace(EXPORTING, build_args={"SOURCE_DATE_EPOCH": "1"})),
        ("USER 5\nWORKDIR /w\nCOPY a.txt /", EXPORTING),
        ("COPY a.txt /", BuildRequest()),
    ],
    ids=["exclude", "parents", "epoch", "owner on nothing", "nothing to share"],
)
def test_steps_without_a_certain_key_have_none(workshop: Workshop, lines: str, request_: BuildRequest) -> None:
    folder = workshop.context(f"FROM scratch\n{lines}\n", FILES)
    assert not [step for step in workshop.run(from_directory(folder), request_).cached if isinstance(step, CachedKey)]


def test_where_arg_and_env_set_one_name_a_run_has_no_key(shop: Workshop) -> None:
    """BuildKit's RUN would see the ARG, lamina's sees the ENV."""
    request = replace(EXPORTING, network="none")
    for lines, keys in (("ENV A=1\nARG A=2\nRUN true", 0), ("ARG A=2\nENV A=1\nRUN true", 1), ("RUN true", 1)):
        folder = shop.context(f"FROM base\n{lines}\n")
        cached = shop.run(from_directory(folder), request).cached
        assert len([step for step in cached if isinstance(step, CachedKey)]) == keys, lines

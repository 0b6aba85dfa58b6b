"""No verb waits for the disk: all that it wrote is flushed behind its back, each file once."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from engine import flush_work
from lamina.distribution import RegistryClient, push
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.store.store import Store
from support import flushes
from support.registries import Running, make_image, patient
from support.registry_fixtures import registry, start

__all__ = ["registry", "start"]

CONTENT = {"load": 6, "pull": 8, "commit": 3, "build": 6, "tag": 0, "remove": 0}
"""How many files each verb brings: a tar and an index for each layer, documents, and the blobs of pulled layers."""


@pytest.mark.root
@pytest.mark.skipif(platform.machine() not in flushes.NAMES, reason="calls have other numbers here")
def test_no_verb_waits_for_the_disk_and_each_file_is_flushed_once(
    tmp_path: Path, data_root: Path, registry: Running, busybox_tar: Path
) -> None:
    name = f"{registry.address}/two:1"
    with Store.open(tmp_path / "pushed") as store, RegistryClient(patient()) as client, store.lease():
        config, layers = make_image(store, 10_000, 20_000)
        push(Reference.parse(name), config, layers, store, ignore, client=client)
    program = [sys.executable, flush_work.__file__, str(data_root), str(busybox_tar), name]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    work = subprocess.run(program, capture_output=True, text=True, timeout=120, env=paths)
    assert work.returncode == 0, work.stderr
    report = json.loads(work.stdout)
    assert {verb: report[verb]["waited for"] for verb in CONTENT} == {verb: [] for verb in CONTENT}
    assert {verb: report[verb]["flushed"] for verb in CONTENT} == {verb: report[verb]["new"] for verb in CONTENT}
    assert {verb: len(report[verb]["new"]) for verb in CONTENT} == CONTENT

"""The records of builds: what they hold, that they outlive the engine, and that they are bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import BuildRequest
from lamina.api.build_history import BuildRecord, HistoryVertex
from lamina.api.memory_context import MemoryContext
from lamina.builder.history import records
from lamina.builder.history.records import BuildHistory
from lamina.engine import Engine
from lamina.errors import InvalidInput, NotFound

TEXT = "FROM scratch\nCOPY a /a\nLABEL b=c\n"


@pytest.fixture
def history(tmp_path: Path) -> BuildHistory:
    return BuildHistory(tmp_path / "build-history")


def record(ref: str, started: int = 1, **members: Any) -> BuildRecord:
    return BuildRecord(ref=ref, started=started, completed=started + 1, **members)


def test_each_build_leaves_a_record_that_outlives_the_engine(tmp_path: Path) -> None:
    with Engine(tmp_path / "root") as engine:
        image = engine.builds.build(MemoryContext(TEXT, {"a": b"1"}), BuildRequest(tags=("app",))).image
        with pytest.raises(InvalidInput):
            engine.builds.build(MemoryContext(f"{TEXT}COPY none /\n", {"a": b"1"}), BuildRequest(tags=("bad",)))
    with Engine(tmp_path / "root") as engine:
        bad, good = engine.builds.history()
        assert (good.name, good.status, good.response) == ("app", "completed", {"containerimage.digest": str(image.id)})
        assert [(step.instruction, step.outcome) for step in good.steps] == [
            ("FROM scratch", "cached"),
            ("COPY a /a", "run"),
            ("LABEL b=c", "run"),
        ]
        assert "Step 2/3 : COPY a /a" in good.logs()
        assert (bad.status, [step.outcome for step in bad.steps]) == ("error", ["cached", "cached", "cached", "failed"])
        assert "none" in bad.error
        assert engine.builds.record(good.ref) == good
        engine.builds.remove_record(good.ref)
        assert engine.builds.history() == (bad,)


def test_a_trace_has_an_event_for_each_step_and_a_row_for_those_at_once() -> None:
    vertices = (
        HistoryVertex("one", 1_000_000, 5_000_000),
        HistoryVertex("beside", 2_000_000, 3_000_000, cached=True),
        HistoryVertex("after", 6_000_000, 7_000_000, error="no"),
        HistoryVertex("never"),
    )
    events = json.loads(record("a", vertices=vertices).trace())["traceEvents"]
    assert [(e["name"], e["cat"], e["ts"], e["dur"], e["tid"]) for e in events if e["ph"] == "X"] == [
        ("one", "run", 1000, 4000, 1),
        ("beside", "cached", 2000, 1000, 2),
        ("after", "failed", 6000, 1000, 1),
    ]


def test_the_oldest_go_but_for_pinned_ones(history: BuildHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_RECORDS", 3)
    history.write(record("pinned", 1, pinned=True))
    for number in range(2, 8):
        history.write(record(f"b{number}", number * 10**9))
    assert [each.ref for each in history.all()] == ["b7", "b6", "b5", "pinned"]


def test_a_record_is_bounded_by_its_steps_and_the_ends_of_its_logs(history: BuildHistory) -> None:
    vertices = tuple(HistoryVertex(f"v{number}", log="x" * 300_000 + "end\0") for number in range(1100))
    history.write(record("big", vertices=vertices, log="y" * 300_000 + "last"))
    kept = history.get("big")
    assert (len(kept.vertices), kept.vertices[0].log) == (1000, "")
    history.write(record("some", vertices=vertices[:3], log="y" * 300_000 + "last"))
    kept = history.get("some")
    assert kept.log.endswith("ylast")
    assert all(vertex.log.endswith("xend") and len(vertex.log) < 270_000 for vertex in kept.vertices)


@pytest.mark.parametrize("ref", ["", "../x", "a/b", ".hidden", "x" * 200, "a\0"])
def test_a_ref_never_leads_elsewhere(history: BuildHistory, ref: str) -> None:
    with pytest.raises(InvalidInput, match="invalid build reference"):
        history.write(record(ref))
    with pytest.raises(InvalidInput):
        history.take(record(ref).encode())


def test_records_travel(history: BuildHistory, tmp_path: Path) -> None:
    made = record("moved", options={"t": "app"}, vertices=(HistoryVertex("v", 1, 2, log="told\n"),))
    assert history.take(made.encode()) == made
    assert history.get("moved") == made
    assert made.logs() == "#1 v\ntold\n"
    for wrong in (b"", b"{}", b"[]", b'{"Ref": 1}', b"\xff", b"x" * (records.LARGEST + 1)):
        with pytest.raises(InvalidInput):
            history.take(wrong)


def test_what_cannot_be_read_or_is_half_written_is_no_record(history: BuildHistory, tmp_path: Path) -> None:
    history.write(record("good"))
    (tmp_path / "build-history/bad.json").write_text("{")
    (tmp_path / "build-history/.new-half").write_text("{")
    history.sweep()
    assert [each.ref for each in history.all()] == ["good"]
    assert not (tmp_path / "build-history/.new-half").exists()
    for ref in ("bad", "none"):
        with pytest.raises(NotFound, match=f"no such build {ref}"):
            history.get(ref)


def test_a_record_fits_whatever_its_texts_are(history: BuildHistory) -> None:
    vertices = tuple(HistoryVertex("\1" * 10_000, error="\1" * 10_000) for _ in range(1000))
    history.write(record("big", vertices=vertices, error="\1" * 5_000_000, log="\1" * 300_000))
    (path,) = history._folder.iterdir()
    assert path.stat().st_size <= records.LARGEST


def test_a_record_from_elsewhere_may_have_any_time(history: BuildHistory) -> None:
    for number, started in enumerate((-(2**63), -1, 2**63, 2**64 - 1)):
        history.take(record(f"b{number}", started).encode())
    assert len(history.all()) == 4
    assert {path.suffix for path in history._folder.iterdir()} == {".json"}


def test_no_record_holds_the_password_of_an_address(history: BuildHistory) -> None:
    addresses = {"remote": "https://me:pass@word@host/a.git#main:b", "context:x": "https://me:secret@host/b.git"}
    history.write(record("a", options=addresses | {"t": "registry:5000/app@sha256:1"}))
    assert history.get("a").options == {
        "remote": "https://host/a.git#main:b",
        "context:x": "https://host/b.git",
        "t": "registry:5000/app@sha256:1",
    }

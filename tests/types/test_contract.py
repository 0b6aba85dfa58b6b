"""One program, run with an engine and with a client: what it sees is the same, field by field."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import threading
import time

import pytest

import lamina
from lamina.types import (
    BuildRequest,
    Cancellation,
    Cancelled,
    CommandFailed,
    Config,
    Conflict,
    ExecConfig,
    HostConfig,
    InvalidInput,
    Ipam,
    LaminaError,
    Library,
    MemoryContext,
    NetworkOptions,
    NotFound,
    Subnet,
    UpdateConfig,
)
from support.waiting import eventually

pytestmark = pytest.mark.root
ALONE = HostConfig(network_mode="none")


def test_checks_and_outlines_are_the_same(libraries: dict[str, Library]) -> None:
    dockerfile = "FROM base AS One\nARG V=1\nENV X=$PATH$NOWHERE\nFROM One\nCOPY a /\nCMD run\n"
    seen = []
    for library in libraries.values():
        context = MemoryContext(dockerfile, {"a": b"1"})
        checked = library.builds.check(context)
        seen.append(
            (checked, library.builds.targets(context), library.builds.outline(context, BuildRequest(target="one")))
        )
        with pytest.raises(InvalidInput, match="failed to reach build target"):
            library.builds.outline(context, BuildRequest(target="two"))
    assert seen[0] == seen[1]
    names = [warning.rule_name for warning in seen[0][0].warnings]
    assert names == ["StageNameCasing", "UndefinedVar", "JSONArgsRecommended"]


def test_a_failed_build_tells_programs_the_same(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        context = MemoryContext("FROM base\nRUN yes line | head -c 9000; \\\n  echo end >&2; exit 7\n")
        with pytest.raises(CommandFailed) as caught:
            library.builds.build(context, BuildRequest(network="none"))
        facts = caught.value.facts
        assert len(facts["output"]) == 4096
        assert "end\n" in facts["output"]
        seen.append((str(caught.value), *(facts[n] for n in ("exit_code", "command", "line", "last_line", "excerpt"))))
    assert seen[0] == seen[1]
    assert seen[0][1:2] + seen[0][3:5] == (7, 2, 3)


def test_images_are_the_same(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        dockerfile = 'FROM base\nCOPY a /a\nLABEL k=v\nCMD ["true"]\n'
        made = library.builds.build(MemoryContext(dockerfile, {"a": b"1"})).image
        library.images.tag(made.id, "same:1")
        image = library.images.get("same:1")
        (listed,) = library.images.list(filters={"reference": ["same"]})
        history = library.images.history("same:1")
        assert listed.id == image.id == made.id
        assert list(library.images.attestations("same:1")) == []
        seen.append(
            (
                (image.tags, image.labels, image.diff_ids[1:], image.os, image.architecture),
                (image.author, image.comment, image.run_config.cmd, listed.tags, dict(listed.labels)),
                [(step.created_by, step.tags, step.comment) for step in history][:3],
            )
        )
        assert [name.partition("@")[0] for name in image.digests] == ["same"]
        assert listed.size == image.size > 0
        assert listed.created[:10] == image.created[:10]
        plan = library.images.removal_plan("same:1")
        assert library.images.get("same:1").id == image.id
        assert plan.reclaimed == 1
        removed = library.images.remove("same:1")
        assert [(item.untagged, item.deleted) for item in plan.removed] == [
            (item.untagged, item.deleted) for item in removed
        ]
        assert (removed[0].untagged, removed[-1].untagged) == ("same:1", "")
        assert removed[-1].deleted.startswith("sha256:")
    assert seen[0] == seen[1]


def test_a_container_is_the_same(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        containers = library.containers
        config = Config(image="base", cmd=("sh", "-c", "echo out; echo err >&2; exit 3"), labels={"k": "v"})
        with containers.group() as group:
            made = group.create("same", config, ALONE)
            assert containers.start("same")
            ended = containers.wait("same")
            details, (listed,) = containers.get(made.id, size=True), containers.list(all=True, size=True)
            records = sorted((r.stream, r.data) for r in containers.logs("same"))
            assert all(r.time > details.created for r in containers.logs("same"))
            assert (details.id, listed.id, details.image_id) == (made.id, made.id, listed.image_id)
            assert details.size_rw == listed.size_rw
            assert details.size_root_fs == listed.size_root_fs
            seen.append(
                (
                    (ended.exit_code, ended.error, made.warnings, records),
                    (details.name, details.image, details.command, details.running, details.exit_code),
                    (details.state.status, details.state.pid, details.state.error, details.state.oom_killed),
                    (details.state.health_status, details.restart_count, dict(details.labels), list(details.mounts)),
                    (details.config, details.host_config.network_mode, dict(details.ports)),
                    [(name, n.ip_address, n.gateway, n.aliases) for name, n in details.networks.items()],
                    (listed.name, listed.image, listed.command, listed.state, listed.running, dict(listed.labels)),
                    [(name, n.ip_address) for name, n in listed.networks.items()],
                )
            )
        with pytest.raises(NotFound):
            containers.get("same")
    engine, client = (tuple(map(repr, side)) for side in seen)
    hostnames = [libraries_side[4][0].hostname for libraries_side in seen]
    assert [part.replace(hostnames[0], "H") for part in engine] == [part.replace(hostnames[1], "H") for part in client]


def test_a_run_gives_everything(library: Library) -> None:
    done = library.containers.run(
        Config(image="base", cmd=("sh", "-c", "cat; echo bad >&2; exit 7")), ALONE, stdin=b"typed"
    )
    assert done == (7, b"typed", b"bad\n", False)
    assert not library.containers.list(all=True)


def test_a_time_limit_stops_the_container(library: Library) -> None:
    begun = time.monotonic()
    done = library.containers.run(Config(image="base", cmd=("sh", "-c", "echo begun; sleep 1000")), ALONE, timeout=2)
    assert (done.exit_code, done.stdout, done.timed_out) == (137, b"begun\n", True)
    assert time.monotonic() - begun < 60
    assert not library.containers.list(all=True)


def test_a_run_is_cancelled(library: Library) -> None:
    cancellation = Cancellation()
    timer = threading.Timer(1, cancellation.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        library.containers.run(Config(image="base", cmd=("sleep", "1000")), ALONE, cancellation=cancellation)
    timer.join()
    assert not library.containers.list(all=True)


def test_waits_end(library: Library) -> None:
    containers = library.containers
    with containers.group() as group:
        id = group.create(None, Config(image="base", cmd=("sleep", "1000")), ALONE).id
        containers.start(id)
        assert not containers.start(id)
        with pytest.raises(TimeoutError):
            containers.wait(id, timeout=0.2)
        cancellation = Cancellation()
        timer = threading.Timer(0.2, cancellation.cancel)
        timer.start()
        with pytest.raises(Cancelled):
            containers.wait(id, cancellation=cancellation)
        timer.join()
        assert containers.stop(id, timeout=0)
        assert not containers.stop(id)
        assert containers.wait(id, timeout=30).exit_code == 137


def test_following_a_log_is_cancelled(library: Library) -> None:
    with library.containers.group() as group:
        id = group.create(None, Config(image="base", cmd=("sh", "-c", "echo one; sleep 1000")), ALONE).id
        library.containers.start(id)
        cancellation = Cancellation()
        records = []
        with pytest.raises(Cancelled) if type(library).__name__ == "Client" else _nothing():
            for record in library.containers.logs(id, follow=True, cancellation=cancellation):
                records.append(record.data)
                cancellation.cancel()
        assert records == [b"one\n"]


def test_execs_and_files(library: Library) -> None:
    containers = library.containers
    with containers.group() as group:
        id = group.create(None, Config(image="base", cmd=("sleep", "1000")), ALONE).id
        containers.start(id)
        job = containers.exec_create(id, ExecConfig(cmd=("cat",), attach_stdin=True, attach_stdout=True))
        with containers.exec_start(job) as stream:
            stream.send(b"typed")
            stream.close_write()
            assert b"".join(data for _, data in stream) == b"typed"
        assert eventually(lambda: containers.exec_inspect(job).exit_code == 0)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo("note")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"text"))
        packed.seek(0)
        containers.put_archive(id, "/tmp", packed)
        stat = containers.stat_path(id, "/tmp/note")
        assert (stat.name, stat.size, stat.link_target) == ("note", 4, "")
        (entry,) = (entry for entry in containers.folder(id, "/tmp") if entry.name == "note")
        assert (entry.is_directory, entry.state.type, entry.state.size) == (False, "regular", 4)
        copied = io.BytesIO()
        assert containers.get_archive(id, "/tmp/note", copied) == stat
        assert ("A", "/tmp/note") in [(change.kind, change.path) for change in containers.changes(id)]
        assert containers.top(id, "-o pid,args").rows[0][-1].split() == ["sleep", "1000"]
        (reading,) = containers.stats(id, one_shot=True)
        assert reading.pids >= 1
        assert reading.memory_usage > 0
        assert containers.update(id, UpdateConfig(memory=64 << 20, memory_swap=128 << 20)) == ()
        assert containers.get(id).host_config.memory == 64 << 20
        image = containers.commit(id, "kept:1", message="why", changes=["ENV A=b"])
        assert (image.tags, image.comment) == (("kept:1",), "why")
        saved = io.BytesIO()
        library.images.save(["kept:1"], saved)
    library.images.remove("kept:1")
    saved.seek(0)
    assert [loaded.tags for loaded in library.images.load(saved)] == [("kept:1",)]
    library.images.remove("kept:1")


def test_networks_and_volumes(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        subnets = (Subnet(subnet="10.213.9.0/24"), Subnet(subnet="fd09::/64"))
        asked = NetworkOptions(internal=True, enable_ipv6=True, labels={"a": "b"}, ipam=Ipam(subnets=subnets))
        network = library.networks.create("back", asked)
        (listed,) = library.networks.list({"name": ["back"]})
        assert listed == library.networks.get(network.id)
        seen.append((network.name, network.driver, network.internal, dict(network.labels), dict(network.options)))
        gateways = [subnet.gateway for subnet in network.ipam.subnets]
        assert (network.enable_ipv4, network.enable_ipv6, gateways) == (True, True, ["10.213.9.1", "fd09::1"])
        assert library.networks.prune({"label": ["a"]}).removed == ("back",)
        volume = library.volumes.create("data", labels={"a": "b"})
        assert (volume.path.endswith("/data/_data"), volume.driver) == (True, "local")
        assert [v.name for v in library.volumes.list({"label": ["a=b"]})] == ["data"]
        assert library.volumes.prune().removed == ()
        assert library.volumes.prune({"all": ["true"]}).removed == ("data",)
        with pytest.raises(NotFound):
            library.volumes.create("x", driver="odd")
    assert seen[0] == seen[1]


def test_errors_are_the_same(library: Library) -> None:
    with pytest.raises(NotFound):
        library.containers.create(None, Config(image="nosuch", cmd=("true",)))
    with library.containers.group() as group:
        group.create("taken", Config(image="base", cmd=("true",)), ALONE)
        with pytest.raises(Conflict):
            library.containers.create("taken", Config(image="base", cmd=("true",)), ALONE)
        with pytest.raises(Conflict):
            library.containers.kill("taken")
    for wrong in ("Not A Name", "a:b:c"):
        with pytest.raises(InvalidInput):
            library.images.tag("base", wrong)
    with pytest.raises(InvalidInput):
        library.images.save("base", io.BytesIO())  # a text where a list is meant


def test_a_group_outlasts_interrupts(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl-C, while the containers are being removed, does not leave them behind."""
    remove = library.containers.remove

    def remove_amid_interrupts(reference: str, *, force: bool, volumes: bool) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        remove(reference, force=force, volumes=volumes)

    def interrupted() -> None:
        with library.containers.group() as group:
            group.create("one", Config(image="base", cmd=("sleep", "1000")), ALONE)
            library.containers.start("one")
            monkeypatch.setattr(library.containers, "remove", remove_amid_interrupts)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not library.containers.list(all=True)


class _nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *unused: object) -> None:
        return None


def test_what_an_engine_tells_of_itself_is_the_same(libraries: dict[str, Library]) -> None:
    engine, client = libraries.values()
    assert engine.version().version == client.version().version == lamina.__version__
    assert engine.version().kernel == client.version().kernel
    assert engine.version().architecture == client.version().architecture
    ours, theirs = engine.info(), client.info()
    assert [(i.version, i.driver, i.runtime, i.labels, i.warnings) for i in (ours, theirs)] == [
        (lamina.__version__, ours.driver, ours.runtime, (), theirs.warnings)
    ] * 2
    for field in ("name", "kernel", "system", "architecture", "cpus", "memory"):
        assert getattr(ours.machine, field) == getattr(theirs.machine, field), field
    assert ours.id != theirs.id
    assert ours.root != theirs.root


def test_the_build_cache_is_the_same(library: Library) -> None:
    dockerfile = "FROM scratch\nCOPY a /cached\n"
    library.builds.build(MemoryContext(dockerfile, {"a": b"1\n"}), BuildRequest(tags=("cached:1",)))
    with pytest.raises(LaminaError):
        library.builds.build(MemoryContext(f"{dockerfile}COPY a /free\nCOPY none /\n", {"a": b"1\n"}))
    kept = {each.description: each.kept_for for each in library.builds.usage({"type": ["regular"]})}
    assert (kept["COPY a /cached"], kept["COPY a /free"]) == ("image cached:1", "")
    assert library.builds.prune({"description": ["/free"]}, max_used=1 << 40).removed == ()
    assert len(library.builds.prune({"description": ["/free"]}).removed) == 1
    with pytest.raises(InvalidInput, match="invalid filter"):
        library.builds.usage({"colour": ["red"]})
    library.images.remove("cached:1")


def test_disk_usage_counts_the_files_of_layers_containers_and_volumes(library: Library) -> None:
    volume = library.volumes.create("counted")
    try:
        config = Config(image="base", cmd=("sh", "-c", "printf 12345 > /five; printf 1234567 > /v/seven; sleep 600"))
        with library.containers.group() as group:
            container = group.create(None, config, HostConfig(network_mode="none", binds=("counted:/v",)))
            library.containers.start(container.id)
            eventually(lambda: library.disk_usage(["volume"]).volumes["counted"] == 7)
            usage = library.disk_usage()
            assert usage.containers[container.id] == 5
            assert usage.layers_size >= library.images.get("base").size > 0
            assert library.disk_usage(["volume"]).containers == {}
    finally:
        library.volumes.remove(volume.name)


def test_events_come_as_they_happen_and_from_the_past(library: Library) -> None:
    cancellation = Cancellation()
    live = library.events(filters={"type": ["volume"], "volume": ["told"]}, cancellation=cancellation)
    library.volumes.create("told", labels={"k": "v"})
    library.volumes.remove("told")
    created, destroyed = next(live), next(live)
    assert [event.action for event in (created, destroyed)] == ["create", "destroy"]
    assert (created.type, created.actor_id) == ("volume", "told")
    assert created.time_ns < destroyed.time_ns
    past = library.events(since="1h", until="0s", filters={"volume": ["told"], "event": ["create"]})
    assert [(event.action, event.time_ns) for event in past] == [("create", created.time_ns)]
    cancellation.cancel()
    with pytest.raises(Cancelled):
        list(live)
    with pytest.raises(InvalidInput):
        list(library.events(filters={"nonsense": ["x"]}, until="0s"))


def test_events_end_at_their_time(library: Library) -> None:
    assert list(library.events(until=f"{time.time() + 0.3}", filters={"type": ["plugin"]})) == []

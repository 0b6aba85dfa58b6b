"""What each instruction does to a config."""

from __future__ import annotations

import pytest

from lamina.errors import InvalidInput
from lamina.formats.config import Healthcheck, RunConfig
from lamina.images.config_changes import apply_changes, ports, working_dir


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["a", "b"]', RunConfig(cmd=("a", "b"))),
        ("CMD a b", RunConfig(cmd=("/bin/sh", "-c", "a b"))),
        ("CMD []", RunConfig(cmd=())),
        ('ENTRYPOINT ["e"]', RunConfig(entrypoint=("e",))),
        ("ENTRYPOINT []", RunConfig()),
        ("ENV A=1 B='2 3'", RunConfig(env=("A=1", "B=2 3"))),
        ("EXPOSE 80 53/UDP 1-2", RunConfig(exposed_ports={p: {} for p in ("1/tcp", "2/tcp", "53/udp", "80/tcp")})),
        ("LABEL a=1 b=2", RunConfig(labels={"a": "1", "b": "2"})),
        ("USER 1:2", RunConfig(user="1:2")),
        ("VOLUME /a /b", RunConfig(volumes={"/a": {}, "/b": {}})),
        ("WORKDIR a/../b", RunConfig(working_dir="/b")),
        ("STOPSIGNAL SIGRTMIN+3", RunConfig(stop_signal="SIGRTMIN+3")),
        ("ONBUILD RUN make", RunConfig(on_build=("RUN make",))),
        ("HEALTHCHECK NONE", RunConfig(healthcheck=Healthcheck(test=("NONE",)))),
        (
            "HEALTHCHECK --retries=2 --timeout=1s CMD true",
            RunConfig(healthcheck=Healthcheck(test=("CMD-SHELL", "true"), retries=2, timeout=10**9)),
        ),
    ],
)
def test_each_change(change: str, expected: RunConfig) -> None:
    assert apply_changes(RunConfig(), [change]) == expected


def test_changes_see_the_ones_before() -> None:
    before = RunConfig(env=("PATH=/bin", "A=old"), cmd=("x",), labels={"l": "1"}, working_dir="/srv")
    changed = apply_changes(before, ["ENV A=new", "ENV B=$A/$PATH", "WORKDIR $B", "LABEL m=2"])
    assert changed.env == ("PATH=/bin", "A=new", "B=new//bin")
    assert changed.working_dir == "/srv/new/bin"
    assert changed.labels == {"l": "1", "m": "2"}
    assert changed.cmd == ("x",)


def test_an_entrypoint_resets_the_command_unless_it_was_set_too() -> None:
    before = RunConfig(cmd=("old",))
    assert apply_changes(before, ['ENTRYPOINT ["e"]']).cmd is None
    assert apply_changes(before, ['CMD ["new"]', 'ENTRYPOINT ["e"]']).cmd == ("new",)


@pytest.mark.parametrize(
    "change",
    ["RUN true", "COPY a b", "FROM x", "ADD a b", "ARG a", "SHELL [\"a\"]", "NONSENSE", "EXPOSE 0", "EXPOSE 99999",
     "EXPOSE 80/icmp", "EXPOSE a", "STOPSIGNAL SIGNOTHING", "WORKDIR ${missing}", "ENV"],
)  # fmt: skip
def test_what_is_no_change(change: str) -> None:
    with pytest.raises(InvalidInput):
        apply_changes(RunConfig(), [change])


@pytest.mark.parametrize(
    ("current", "requested", "expected"),
    [("", "a", "/a"), ("/x", "a", "/x/a"), ("/x", "../..", "/"), ("/x", "/y/", "/y/"), ("/x/y", "./../z", "/x/z")],
)
def test_working_dir(current: str, requested: str, expected: str) -> None:
    assert working_dir(current, requested) == expected


def test_ports_may_carry_host_parts_as_docker_takes_them() -> None:
    assert ports(["127.0.0.1:8080:80/tcp"]) == ["80/tcp"]

"""Log drivers: what they keep, what they send on, and going on from where a reader was."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lamina.api.containers import HostConfig, LogConfig
from lamina.containers.log_drivers import check_log
from lamina.containers.log_files import moment
from lamina.containers.logs import LogOptions, read
from lamina.errors import InvalidInput, Unavailable, Unsupported
from lamina.formats.times import parse_time
from lamina.runtime.monitor.log_file import LogFile, last_time
from lamina.runtime.monitor.output import Log
from support.registries import make_certificate
from support.waiting import eventually

from .conftest import Rooms


def logging(driver: str, **options: str) -> HostConfig:
    config = {name.replace("_", "-"): value for name, value in options.items()}
    return HostConfig(network_mode="none", log_config=LogConfig(driver, config))


def numbers(path: Path, **options: Any) -> list[int]:
    return [int(record.data) for record in read(path, LogOptions(**options), lambda: False)]


@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        ("fluentd", {}, "logger: no log driver named 'fluentd' is registered"),
        ("local", {"colour": "red"}, "unknown log opt 'colour' for local log driver"),
        ("json-file", {"mode": "xx"}, "logger: logging mode not supported: xx"),
        ("json-file", {"max-buffer-size": "1m"}, "only supported with 'mode=non-blocking'"),
        ("json-file", {"compress": "true"}, "compress cannot be true when max-file is less than 2"),
        ("json-file", {"compress": "perhaps"}, "neither true nor false"),
        ("json-file", {"max-file": "0"}, "is not a number of files"),
        ("json-file", {"max-size": "x"}, 'invalid max-size "x"'),
        ("json-file", {"tag": "{{.Nothing}}"}, "cannot be read"),
        ("json-file", {"tag": "{{if .Name}}"}, "cannot be read"),
        ("json-file", {"labels-regex": "("}, "invalid labels-regex"),
        ("syslog", {"syslog-facility": "weather"}, "invalid syslog facility"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "x"}, "Invalid syslog format"),
        ("syslog", {"syslog-address": "corba://1.2.3.4"}, "unsupported scheme: 'corba'"),
        ("syslog", {"syslog-address": "unix:///not/there"}, "/not/there: no such file"),
    ],
)
def test_what_no_driver_takes_is_refused(driver: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        check_log(LogConfig(driver, options))


def test_times_of_a_log_increase_whatever_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):  # a second monitor goes on where the first one ended
        log = Log(LogFile(str(path)))
        log.write("stdout", b"x\n" * 1000)
        log.close()
    times = [parse_time(json.loads(line)["time"]) for line in path.read_text().splitlines()]
    assert len(times) == 2000
    assert sorted(set(times)) == times
    assert last_time(str(path)) == times[-1]


@pytest.mark.parametrize("compress", [False, True])
def test_a_reader_goes_on_behind_any_record(tmp_path: Path, *, compress: bool) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path), max_size=20_000, max_files=50, compress=compress))
    for number in range(0, 3000, 10):
        log.write("stderr" if number % 20 else "stdout", b"".join(b"%d\n" % n for n in range(number, number + 10)))
    log.close()
    records = list(read(path, LogOptions(), lambda: False))
    assert [int(record.data) for record in records] == list(range(3000))
    for place in (0, 1, 9, 10, 255, 1499, 2500, 2998):
        after = parse_time(records[place].time)
        assert numbers(path, after=after) == list(range(place + 1, 3000))
    assert numbers(path, after=parse_time(records[-1].time)) == []
    assert numbers(path, after=parse_time(records[8].time), stderr=False)[:2] == [9, 20]
    assert numbers(path, tail=2, after=parse_time(records[-2].time)) == [2999]


def test_a_long_file_is_searched_by_halves(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path)))
    for number in range(0, 20_000, 100):
        log.write("stdout", b"".join(b"%d\n" % n for n in range(number, number + 100)))
    log.close()
    records = list(read(path, LogOptions(), lambda: False))
    for place in range(0, 20_000, 997):
        assert numbers(path, after=parse_time(records[place].time))[:1] == [place + 1]


def test_rotated_files_are_compressed_and_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path), max_size=2000, max_files=4, compress=True))
    for number in range(200):
        log.write("stdout", b"%d\n" % number)
    log.close()
    names = ["log", "log.1.gz", "log.2.gz", "log.3.gz"]
    eventually(lambda: sorted(p.name for p in tmp_path.iterdir()) == names)
    seen = numbers(path)
    assert seen == list(range(200 - len(seen), 200))
    assert numbers(path, tail=50) == list(range(150, 200))


@pytest.mark.root
def test_local_is_rotated_and_read_without_being_told(rooms: Rooms) -> None:
    id = rooms.run("echo one; echo two >&2", host=logging("local"))
    assert rooms.output(id) == "one\ntwo\n"
    assert rooms.containers.get(id).log_path is None
    spec = rooms.containers.live(id).directory / "local-logs/container.log"
    assert spec.stat().st_mode & 0o777 == 0o600
    rooms.containers.start(id)
    assert rooms.output(id) == "one\ntwo\none\ntwo\n"


@pytest.mark.root
def test_labels_variables_and_tags_are_told_beside_each_message(rooms: Rooms) -> None:
    host = logging("json-file", labels="a,none", labels_regex="^x-", env="E", tag="{{.Name}}/{{ .ID }}")
    id = rooms.run("echo hi", name="told", host=host, labels={"a": "1", "x-b": "2", "c": "3"}, env=("E=4", "F=5"))
    rooms.containers.wait(id, timeout=10)
    record = next(rooms.containers.logs(id))
    assert record.attributes == {"a": "1", "x-b": "2", "E": "4", "tag": f"told/{id[:12]}"}
    kept = json.loads(rooms.containers.live(id).log_path.read_text())
    assert kept["attrs"] == record.attributes


class Receiver:
    """A syslog server on a socket of one kind."""

    def __init__(self, network: str, folder: Path) -> None:
        self.stream = network in ("tcp", "unix")
        family = socket.AF_UNIX if network.startswith("unix") else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM if self.stream else socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "log.sock") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        self.socket.settimeout(10)
        if self.stream:
            self.socket.listen()
        name = self.socket.getsockname()
        self.address = f"{network}://{name}" if family == socket.AF_UNIX else f"{network}://127.0.0.1:{name[1]}"

    def received(self, count: int) -> list[str]:
        """The first messages, without their line ends."""
        if not self.stream:
            return [self.socket.recv(65536).decode().rstrip("\n") for _ in range(count)]
        lines: list[str] = []
        while len(lines) < count:  # the engine first tries whether somebody answers
            connection, _ = self.socket.accept()
            with connection, connection.makefile("r") as file:
                lines += [line.rstrip("\n") for line in file]
        return lines


@pytest.fixture(params=["udp", "tcp", "unix", "unixgram"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    opened = Receiver(request.param, tmp_path)
    yield opened
    opened.socket.close()


@pytest.mark.root
@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("", r"<{}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d box\[\d+\]: {}"),
        ("rfc3164", r"<{}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d {host} box\[\d+\]: {}"),
        ("rfc5424", r"<{}>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {host} box \d+ box - {}"),
        ("rfc5424micro", r"<{}>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z {host} box \d+ box - {}"),
    ],
)
def test_syslog_gets_every_message_and_so_does_logs(rooms: Rooms, receiver: Receiver, form: str, pattern: str) -> None:
    """As moby's daemon/logger/syslog writes them; `docker logs` reads a file beside (dual logging)."""
    host = logging(
        "syslog", syslog_address=receiver.address, syslog_facility="local3", syslog_format=form, tag="{{.Name}}"
    )
    id = rooms.run("echo out; sleep 0.1; echo err >&2", name="box", host=host)
    out, err = receiver.received(2)
    name = re.escape(os.uname().nodename)
    assert re.fullmatch(pattern.format(19 << 3 | 6, "out", host=name), out), out
    assert re.fullmatch(pattern.format(19 << 3 | 3, "err", host=name), err), err
    assert rooms.output(id) == "out\nerr\n"


class TlsReceiver(Receiver):
    """A syslog server over TLS that asks its clients for a certificate."""

    def __init__(self, folder: Path) -> None:
        super().__init__("tcp", folder)
        self.certificate, self.key = make_certificate(folder, "127.0.0.1")
        self.address = self.address.replace("tcp://", "tcp+tls://")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.certificate))
        context.load_cert_chain(self.certificate, self.key)
        context.verify_mode = ssl.CERT_REQUIRED
        plain = self.socket
        self.socket = context.wrap_socket(plain, server_side=True)

    def options(self) -> dict[str, str]:
        return {
            "syslog_address": self.address,
            "syslog_tls_ca_cert": str(self.certificate),
            "syslog_tls_cert": str(self.certificate),
            "syslog_tls_key": str(self.key),
        }


@contextmanager
def taken(receiver: TlsReceiver, count: int) -> Iterator[Future[list[str]]]:
    """Messages that a thread receives while the block starts a container, which waits for an answer first."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(receiver.received, count)
    receiver.socket.close()


@pytest.mark.root
@pytest.mark.parametrize("form", ["", "rfc5424"])
def test_syslog_over_tls(rooms: Rooms, tmp_path: Path, form: str) -> None:
    """With the lengths of RFC 5425 in front of the messages of RFC 5424, as moby's driver writes them."""
    receiver = TlsReceiver(tmp_path)
    with taken(receiver, 300) as lines:
        script = "i=0; while test $i -lt 300; do echo line $i; i=$((i+1)); done"
        id = rooms.run(script, host=logging("syslog", syslog_format=form, **receiver.options()))
        assert rooms.containers.wait(id, timeout=30).exit_code == 0
    received = lines.result()
    assert [line.rpartition("line ")[2] for line in received] == [str(number) for number in range(300)]
    if form:
        assert all(int(line.partition(" ")[0]) == len(line.partition(" ")[2]) + 1 for line in received)


@pytest.mark.root
@pytest.mark.parametrize(
    ("without", "more", "words"),
    [
        ("syslog_tls_ca_cert", {}, "CERTIFICATE_VERIFY_FAILED"),
        ("", {"syslog_tls_ca_cert": "/not/there"}, "No such file"),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing(
    rooms: Rooms, tmp_path: Path, without: str, more: dict[str, str], words: str
) -> None:
    receiver = TlsReceiver(tmp_path)
    options = {name: value for name, value in receiver.options().items() if name != without} | more
    id = rooms.create("echo x", host=logging("syslog", **options))
    with ThreadPoolExecutor(1) as thread:
        accepting = thread.submit(receiver.socket.accept)
        with pytest.raises(Unavailable, match=f"failed to initialize logging driver: .*{words}"):
            rooms.containers.start(id)
        receiver.socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OSError):
            accepting.result()
    receiver.socket.close()


@pytest.mark.root
def test_a_receiver_that_is_not_there_is_told_at_the_start(rooms: Rooms) -> None:
    id = rooms.create("echo x", host=logging("syslog", syslog_address="tcp://127.0.0.1:1"))
    with pytest.raises(Unavailable, match="failed to initialize logging driver: Connection refused"):
        rooms.containers.start(id)


@pytest.mark.root
def test_a_receiver_that_does_not_read_holds_the_output_unless_it_may_be_dropped(rooms: Rooms, tmp_path: Path) -> None:
    receiver = Receiver("unix", tmp_path)
    script = "i=0; while test $i -lt 3000; do echo $i$(printf %01000d 0); i=$((i+1)); done; touch /done"
    options = {"syslog_address": receiver.address}
    held = rooms.run(script, host=logging("syslog", **options))
    dropping = rooms.run(script, host=logging("syslog", mode="non-blocking", max_buffer_size="64k", **options))
    assert rooms.containers.wait(dropping, timeout=60).exit_code == 0
    assert rooms.containers.get(held).running
    lines = receiver.received(3000)  # now somebody reads
    assert rooms.containers.wait(held, timeout=60).exit_code == 0
    assert len(lines) >= 3000
    receiver.socket.close()


@pytest.mark.root
def test_without_the_file_beside_it_a_log_that_is_sent_on_is_not_read(rooms: Rooms, tmp_path: Path) -> None:
    receiver = Receiver("unixgram", tmp_path)
    host = logging("syslog", syslog_address=receiver.address, cache_disabled="true")
    id = rooms.run("echo out", host=host)
    rooms.containers.wait(id, timeout=10)
    with pytest.raises(Unsupported, match="configured logging driver does not support reading"):
        rooms.containers.logs(id)
    assert not (rooms.containers.live(id).directory / "local-logs").exists()
    receiver.socket.close()


@pytest.mark.parametrize(
    "text",
    ["2026-11-27T11:00:00.123456789Z", "2026-11-27T11:00:00.1Z", "2026-11-27T11:00:00Z", "2026-11-27T12:00:00.5+01:00"],
)
def test_times_of_lines_are_read_as_elsewhere(text: str) -> None:
    assert moment(text) == parse_time(text)


@pytest.mark.parametrize("text", ["", "Z", "2026-11-27T11:00:00.x1Z", "2026-13-27T11:00:00.1Z", "x" * 19 + ".1Z"])
def test_what_is_no_time_of_a_line_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        moment(text)

"""Log drivers: what a container's LogConfig asks for, and where its log is (moby daemon/logger).

json-file and local keep files of lamina's own here; local's are rotated and compressed unless it is told otherwise.
syslog and journald send the output on, and keep such a file beside it for `logs` to read, as dockerd does.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from lamina.api.containers import LogConfig
from lamina.containers.container import Container
from lamina.containers.record import Record
from lamina.errors import InvalidInput, Unavailable
from lamina.formats.booleans import parse_bool
from lamina.formats.patterns import found_in
from lamina.formats.sizes import parse_size
from lamina.runtime.monitor import log_forward
from lamina.runtime.monitor.log_tls import TlsOptions
from lamina.runtime.monitor.protocol import LogForward, LogSpec

DRIVERS = ("json-file", "local", "none", "syslog", "journald")
_CONNECT_SECONDS = 5.0
_BUFFER = 1 << 20  # bytes, moby's for the mode non-blocking
_LOCAL_SIZE, _LOCAL_FILES = 20 * 1000 * 1000, 5  # moby daemon/logger/local
_EVERY = frozenset({"mode", "max-buffer-size"})
_FILE = frozenset({"max-size", "max-file", "compress"})
_WORDS = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})
_CACHE = frozenset(f"cache-{name}" for name in ("disabled", *_FILE))
_TLS = frozenset(f"syslog-tls-{name}" for name in ("ca-cert", "cert", "key", "skip-verify"))
_OPTIONS = {
    "json-file": _EVERY | _FILE | _WORDS,
    "local": _EVERY | _FILE | _WORDS,
    "syslog": _EVERY | _WORDS | _CACHE | _TLS | {"syslog-address", "syslog-facility", "syslog-format"},
    "journald": _EVERY | _WORDS | _CACHE,
}
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_SCHEMES = {"udp": "udp", "tcp": "tcp", "tcp+tls": "tls"}
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_TEMPLATE = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
_TAGS = ("ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName")


def check_log(log: LogConfig) -> None:
    """Raise InvalidInput for a driver that is not here, and for options that it does not have or cannot read."""
    if log.type not in DRIVERS:
        raise InvalidInput(f"logger: no log driver named '{log.type}' is registered", known=DRIVERS)
    if log.type == "none":
        return  # whatever its options are (moby daemon/logger/factory.go)
    unknown = sorted(set(log.config) - _OPTIONS[log.type])
    if unknown:
        raise InvalidInput(f"unknown log opt '{unknown[0]}' for {log.type} log driver", option=unknown[0])
    _buffer(log.config)
    _check_tag(log.config.get("tag", ""))
    for option in ("labels-regex", "env-regex"):
        found_in(option, log.config.get(option, ""), "")
    if log.type == "syslog":
        _receiver(log.config)
        _facility(log.config.get("syslog-facility", ""))
        if log.config.get("syslog-format", "") not in _FORMATS:
            raise InvalidInput("Invalid syslog format", option="syslog-format")
    if log.type == "journald" and not os.path.exists(log_forward.JOURNAL):
        raise InvalidInput("journald is not enabled on this host", driver=log.type)
    _file(log, Path(), {})


def log_path(container: Container) -> Path | None:
    """Return the file that the container's log is read from; None for one that cannot be read."""
    log = container.record.host_config.log_config
    if log.type == "none" or parse_bool(log.config.get("cache-disabled", "false")):
        return None
    return container.log_path if log.type == "json-file" else container.directory / "local-logs" / "container.log"


def log_spec(container: Container) -> LogSpec | None:
    """Return where the container's output goes, None for nowhere.

    Raise Unavailable where the receiver of a log that is sent on cannot be reached.
    """
    record = container.record
    log = record.host_config.log_config
    path = log_path(container)
    if log.type in ("json-file", "local", "none"):
        return _file(log, path, attributes(record)) if path else None
    forward = _forward(record)
    spec = _file(log, path, {}) if path else LogSpec("")
    return LogSpec(spec.path, spec.max_size, spec.max_files, spec.compress, forward=forward)


def attributes(record: Record) -> dict[str, str]:
    """Return the labels and variables that the log's options choose, and its tag."""
    options = record.host_config.log_config.config
    variables = dict(entry.split("=", 1) for entry in record.config.env if "=" in entry)
    chosen: dict[str, str] = {}
    for option, values in (("labels", record.config.labels), ("env", variables)):
        names = options.get(option, "").split(",")
        pattern = options.get(f"{option}-regex", "")
        for name, value in values.items():
            if name in names or (pattern and found_in(f"{option}-regex", pattern, name)):
                chosen[name] = value
    if options.get("tag"):
        chosen["tag"] = tag(record)
    return chosen


def tag(record: Record) -> str:
    """Return the tag of a container's messages, by default the beginning of its ID."""
    values = {
        "ID": record.id[:12],
        "FullID": record.id,
        "Name": record.name,
        "ImageID": record.image.partition(":")[2][:12],
        "ImageFullID": record.image,
        "ImageName": record.config.image,
        "DaemonName": "lamina",
    }
    template = record.host_config.log_config.config.get("tag") or "{{.ID}}"
    return _TEMPLATE.sub(lambda match: values[match[1]], template)


def _check_tag(template: str) -> None:
    unknown = [name for name in _TEMPLATE.findall(template) if name not in _TAGS]
    if unknown or "{{" in _TEMPLATE.sub("", template):
        advice = "Write " + ", ".join(f"{{{{.{name}}}}}" for name in _TAGS)
        raise InvalidInput(f"the log tag {template!r} cannot be read", advice=advice, option="tag")


def _buffer(options: Mapping[str, str]) -> int:
    """Return the bytes that may wait for their receiver."""
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidInput(f"logger: logging mode not supported: {mode}", option="mode")
    if "max-buffer-size" not in options:
        return _BUFFER
    if mode != "non-blocking":
        words = "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        raise InvalidInput(words, option="max-buffer-size")
    return parse_size(options["max-buffer-size"], "max-buffer-size")


def _file(log: LogConfig, path: Path, chosen: dict[str, str]) -> LogSpec:
    """Return the files of a log, as its driver has them unless it says otherwise; `chosen` attributes are in them."""
    plain = log.type == "json-file"
    options = {name: log.config.get(name if plain or log.type == "local" else f"cache-{name}", "") for name in _FILE}
    size = _max_size(options["max-size"]) if options["max-size"] else 0 if plain else _LOCAL_SIZE
    count = options["max-file"] or str(1 if plain else _LOCAL_FILES)
    if not count.isdecimal() or int(count) < 1:
        raise InvalidInput(f"max-file: {count!r} is not a number of files", option="max-file")
    rotates = size > 0 and int(count) > 1
    compress = parse_bool(options["compress"], "compress") if options["compress"] else rotates and not plain
    if compress and not rotates:
        reason = "compress cannot be true when max-file is less than 2 or max-size is not set"
        raise InvalidInput(reason, option="compress")
    return LogSpec(str(path), size, int(count), compress, chosen)


def _max_size(text: str) -> int:
    """Return the bytes after which a log is rotated; 0 for never, which "-1" means too."""
    return 0 if text.strip() == "-1" else parse_size(text, "max-size")


def _forward(record: Record) -> LogForward:
    """Return the receiver of a log, which answers at this moment. Raise Unavailable."""
    log = record.host_config.log_config
    network, address, port = _receiver(log.config)
    forward = LogForward(
        kind=log.type,
        network=network,
        address=_number(address, port) if network in ("udp", "tcp", "tls") else address,
        port=port,
        facility=_facility(log.config.get("syslog-facility", "")),
        format=log.config.get("syslog-format", ""),
        tag=tag(record),
        fields=_journal_fields(record) if log.type == "journald" else {},
        non_blocking=log.config.get("mode") == "non-blocking",
        buffer=_buffer(log.config),
        tls=_tls(address, log.config) if network == "tls" else None,
    )
    try:
        log_forward.connect(forward, _CONNECT_SECONDS).close()
    except OSError as error:
        raise Unavailable(f"failed to initialize logging driver: {error.strerror or error}", driver=log.type) from None
    return forward


def _tls(host: str, options: Mapping[str, str]) -> TlsOptions:
    return TlsOptions(
        name=host or "localhost",
        authority=options.get("syslog-tls-ca-cert", ""),
        certificate=options.get("syslog-tls-cert", ""),
        key=options.get("syslog-tls-key", ""),
        any_server="syslog-tls-skip-verify" in options,  # whatever it says (moby daemon/logger/syslog)
    )


def _number(host: str, port: int) -> str:
    """Return the address of a host. Raise Unavailable where its name is not known."""
    try:
        return str(socket.getaddrinfo(host or "127.0.0.1", port)[0][4][0])
    except OSError as error:
        raise Unavailable(f"failed to initialize logging driver: {host}: {error.strerror}", host=host) from None


def _receiver(options: Mapping[str, str]) -> tuple[str, str, int]:
    """(network, path or host, port) of syslog-address. Raise InvalidInput."""
    text = options.get("syslog-address", "")
    if not text:
        return "", "", 0
    try:
        parts = urlsplit(text)
        port = parts.port or 514
    except ValueError as error:
        raise InvalidInput(f"syslog-address: {error}", option="syslog-address") from None
    if parts.scheme in ("unix", "unixgram"):
        if not os.path.exists(parts.path):
            raise InvalidInput(f"stat {parts.path}: no such file or directory", option="syslog-address")
        return parts.scheme, parts.path, 0
    if parts.scheme not in _SCHEMES:
        advice = "Write unix://, unixgram://, udp://, tcp:// or tcp+tls://"
        raise InvalidInput(f"unsupported scheme: '{parts.scheme}'", advice=advice, option="syslog-address")
    return _SCHEMES[parts.scheme], parts.hostname or "", port


def _facility(text: str) -> int:
    if not text:
        return _FACILITIES.index("daemon")
    if text in _FACILITIES:
        return _FACILITIES.index(text)
    if not text.isdecimal() or int(text[:3]) > 23:
        raise InvalidInput("invalid syslog facility", option="syslog-facility")
    return int(text)


def _journal_fields(record: Record) -> dict[str, str]:
    """Return the fields of every message in the journal (moby daemon/logger/journald)."""
    name = tag(record)
    own = {
        "CONTAINER_ID": record.id[:12],
        "CONTAINER_ID_FULL": record.id,
        "CONTAINER_NAME": record.name,
        "CONTAINER_TAG": name,
        "IMAGE_NAME": record.config.image,
        "SYSLOG_IDENTIFIER": name,
    }
    chosen = {re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_"): value for key, value in attributes(record).items()}
    return {**chosen, **own}

"""`lamina stats`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from lamina.cli.arguments import format_option, switch
from lamina.cli.parsing.declare import argument, command
from lamina.cli.session import Session
from lamina.cli.table import Column, print_rows, short_id
from lamina.cli.terminal.screen import drive
from lamina.client.containers import Containers
from lamina.errors import LaminaError, NotFound
from lamina.formats.sizes import binary_size, human_size

Sample = Mapping[str, Any]


def cpu_percent(sample: Sample) -> float:
    """Return the CPU time since the previous sample, in percent of one CPU."""
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}
    usage, usage_before = now.get("cpu_usage") or {}, before.get("cpu_usage") or {}
    used = usage.get("total_usage", 0) - usage_before.get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len(usage.get("percpu_usage") or ())
    return used / passed * cpus * 100.0 if used > 0 and passed > 0 else 0.0


def memory_used(sample: Sample) -> int:
    """Return the memory in use in bytes, without the page cache that the kernel can drop at once."""
    memory = sample.get("memory_stats") or {}
    usage, stats = memory.get("usage", 0), memory.get("stats") or {}
    inactive = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return int(usage - inactive if inactive < usage else usage)


def _memory(sample: Sample, trunc: bool) -> str:
    limit = (sample.get("memory_stats") or {}).get("limit", 0)
    return f"{binary_size(memory_used(sample))} / {binary_size(limit)}"


def _memory_percent(sample: Sample, trunc: bool) -> str:
    limit = (sample.get("memory_stats") or {}).get("limit", 0)
    return f"{memory_used(sample) / limit * 100 if limit else 0:.2f}%"


def _network(sample: Sample, trunc: bool) -> str:
    cards = (sample.get("networks") or {}).values()
    received, sent = sum(card["rx_bytes"] for card in cards), sum(card["tx_bytes"] for card in cards)
    return f"{human_size(received, 3)} / {human_size(sent, 3)}"


def _blocks(sample: Sample, trunc: bool) -> str:
    entries = (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    read = sum(entry["value"] for entry in entries if entry["op"][:1] in "rR")
    written = sum(entry["value"] for entry in entries if entry["op"][:1] in "wW")
    return f"{human_size(read, 3)} / {human_size(written, 3)}"


COLUMNS = {
    "Container": Column("CONTAINER", lambda sample, trunc: str(sample["_container"])),
    "Name": Column("NAME", lambda sample, trunc: str(sample.get("name", "")).removeprefix("/")),
    "ID": Column("CONTAINER ID", lambda s, trunc: short_id(s["id"]) if trunc else str(s["id"])),
    "CPUPerc": Column("CPU %", lambda sample, trunc: f"{cpu_percent(sample):.2f}%"),
    "MemUsage": Column("MEM USAGE / LIMIT", _memory),
    "MemPerc": Column("MEM %", _memory_percent),
    "NetIO": Column("NET I/O", _network),
    "BlockIO": Column("BLOCK I/O", _blocks),
    "PIDs": Column("PIDS", lambda sample, trunc: str((sample.get("pids_stats") or {}).get("current", 0))),
}
DEFAULT = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")


CLEAR = "\x1b[H\x1b[J"


@command("""
    lamina stats
    lamina stats --no-stream --format '{{.Name}}: {{.CPUPerc}}' app1
""")
@argument("names", many=True, required=False, metavar="[CONTAINER...]")
@switch("-a", "--all", "all_", help="Show all containers, not just running ones")
@format_option
@switch("--no-stream", help="Show the first result only")
@switch("--no-trunc", help="Don't shorten")
def stats(session: Session, names: tuple[str, ...], all_: bool, format_: str, no_stream: bool, no_trunc: bool) -> None:
    """Show a live stream of the resources that containers use."""
    from concurrent.futures import ThreadPoolExecutor

    containers = session.client.containers
    form = format_ or session.settings.config.text("statsFormat")
    while True:
        watched = names or tuple(container.id for container in containers.list(all=all_))
        with ThreadPoolExecutor(max_workers=max(1, len(watched))) as pool:
            samples = [s for s in pool.map(lambda name: _sample(containers, name, named=bool(names)), watched) if s]
        if not no_stream and sys.stdout.isatty():
            drive(sys.stdout, CLEAR)
        print_rows(samples, COLUMNS, DEFAULT, form=form, trunc=not no_trunc)
        sys.stdout.flush()
        if no_stream:
            return


def _sample(containers: Containers, name: str, named: bool) -> dict[str, Any] | None:
    """Return one sample, for which the daemon takes a second. Return None if the container ended meanwhile."""
    try:
        return {**next(iter(containers.stats(name))), "_container": name}
    except (NotFound, StopIteration):
        if named:
            raise
        return None
    except LaminaError as error:
        print(f"lamina: {name}: {error}", file=sys.stderr)
        return None

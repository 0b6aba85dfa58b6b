"""What an engine leaves on the machine, looked at from outside: files, mounts, processes, cgroups, rows, interfaces."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lamina.linux.mounts import mountinfo
from lamina.network.default_bridge import bridge_name
from lamina.store.store import Store
from support.processes import processes_naming

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_HIERARCHIES = Path("/sys/fs/cgroup")
_TABLES = ("content", "link", "stack", "stack_owner", "cached")


def everything(folder: Path) -> set[str]:
    """All paths below the data and exec roots, but for the database's own files and the records of builds.

    The history of builds is there to outlive what was built, and has bounds of its own.
    """
    paths = [path for root in ("d", "e") for path in (folder / root).rglob("*")]
    names = {str(path.relative_to(folder)) for path in paths if not path.name.startswith("metadata.db")}
    return {name for name in names if not re.fullmatch(r"d/build-history(/\w+\.json)?", name)}


def rows(folder: Path) -> Counter[str]:
    """How many rows each table of the database has, and each bucket of documents."""
    with closing(sqlite3.connect(f"file:{folder}/d/metadata.db?mode=ro", uri=True)) as database:
        counts = Counter({name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in _TABLES})
        counts.update(dict(database.execute("SELECT 'bucket ' || bucket, count(*) FROM record GROUP BY bucket")))
    return +counts


def unfinished(folder: Path) -> list[str]:
    """Files of work that no engine is at any more, as right after a start."""
    data = folder / "d"
    found = [path for place in ("temporary", "ingest") for path in (data / place).iterdir()]
    found += [path for path in (data / "snapshots").rglob(".*") if path.name.startswith((".new-", ".old-", ".probe-"))]
    content = {path.name.partition(".")[0] for path in (data / "layers" / "sha256").iterdir()}
    with closing(sqlite3.connect(f"file:{data}/metadata.db?mode=ro", uri=True)) as database:
        known = {row[0].partition(":")[2] for row in database.execute("SELECT digest FROM content")}
    return [str(path) for path in found if not path.name.startswith("partial-")] + sorted(content - known)


def strangers(folder: Path, containers: set[str], running: set[str], cgroup: str) -> list[str]:
    """Traces of containers that are not there: directories, mounts, namespaces, tasks, cgroups, processes."""
    data, runs = folder / "d", folder / "e"
    directories = [data / "containers", data / "snapshots" / "erofs" / "snapshots", runs / "tasks", runs / "netns"]
    found = [str(path) for place in directories for path in _ids_in(place) if path.name not in containers]
    for point in mountinfo():
        if point.target.startswith(f"{folder}/") and (ids := set(_ID.findall(point.target))):
            on_layer = "/layers/" in point.target
            found += [] if (on_layer and running) or ids & running else [f"mount {point.target}"]
    found += [f"cgroup {path}" for path in cgroups(cgroup) if not set(_ID.findall(str(path))) & running]
    return found


def _ids_in(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (path for path in place.iterdir() if _ID.search(path.name))


def cgroups(parent: str) -> list[Path]:
    """Cgroups below `parent` of every hierarchy."""
    return [path for place in _places(parent) for path in place.iterdir() if path.is_dir()]


def forget_cgroup(parent: str) -> None:
    """Remove the empty `parent` itself, which engines leave as other containers may be put there."""
    for place in _places(parent):
        place.rmdir()


def _places(parent: str) -> list[Path]:
    places = [place / parent.lstrip("/") for place in (_HIERARCHIES, *_HIERARCHIES.iterdir())]
    return [place for place in places if place.is_dir()]


def on_the_machine(folder: Path) -> list[str]:
    """What a stopped engine without containers may not leave outside of its roots."""
    bridge = bridge_name(folder / "e")
    found = [f"mount {point.target}" for point in mountinfo() if point.target.startswith(f"{folder}/")]
    found += [f"process {command}" for command in processes_naming(str(folder))]
    found += [f"interface {path.name}" for path in Path("/sys/class/net").iterdir() if path.name == bridge]
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    return found + [line for line in tables.splitlines() if line.endswith(f"lamina-{bridge}")]


def interfaces(prefix: str) -> set[str]:
    """The names of network interfaces that begin with `prefix`."""
    return {path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(prefix)}


def damage(folder: Path) -> list[str]:
    """Content of a stopped engine that is not what its digest says, and owners of what is not there."""
    with Store.open(folder / "d") as store:
        found = [str(error) for error in store.verify()]
        with store.read() as view:
            return [*found, *map(str, store.lost), *view.broken_owners()]

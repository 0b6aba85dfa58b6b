"""`lamina cp` and `export`."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Iterator

from lamina.cli.arguments import complete_containers, switch
from lamina.cli.copying import (
    GO_DIRECTORY,
    GO_IRREGULAR,
    GO_SYMLINK,
    CopiedFile,
    Target,
    insists_on_directory,
    local_source,
    local_target,
    names_contents,
    place,
    split_argument,
    split_entry,
    unpack,
)
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.client.containers import Containers
from lamina.client.pack import Packed, pack
from lamina.client.process_documents import PathStat
from lamina.errors import InvalidInput, NotFound


@command("""
    lamina cp app1:/var/log/app.log .
    lamina cp ./site/. web:/srv
    lamina cp app1:/etc - | tar t
""")
@argument("source", metavar="[CONTAINER:]SOURCE|-")
@argument("target", metavar="[CONTAINER:]TARGET|-")
@switch("-a", "--archive", help="Keep owners")
@switch("-L", "--follow-link", help="Follow a symbolic link in SOURCE")
@switch("-q", "--quiet", help="Accepted for Docker's sake")
def cp(session: Session, source: str, target: str, archive: bool, follow_link: bool, quiet: bool) -> None:
    """Copy files between a container and this machine. `-` stands for a tar on stdin or stdout."""
    from_container, from_path = split_argument(source)
    to_container, to_path = split_argument(target)
    if bool(from_container) == bool(to_container):
        problem = "copying between containers is not supported" if from_container else "no container is named"
        raise InvalidInput(problem, advice="Write one side as CONTAINER:PATH")
    containers = session.client.containers
    if from_container:
        _from_container(containers, from_container, from_path, to_path, archive, follow_link)
    else:
        _to_container(containers, from_path, to_container, to_path, archive, follow_link)


def _from_container(containers: Containers, name: str, path: str, target: str, keep_owner: bool, follow: bool) -> None:
    requested = path
    if follow:
        path = _followed(containers, name, path)[0]
    stat, chunks = containers.archive(name, path)
    if target == "-":
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return

    source = CopiedFile(_top(requested), bool(stat.mode & GO_DIRECTORY))
    unpack(chunks, _top(path), place(source, local_target(target)), keep_owner=keep_owner)


def _top(path: str) -> str:
    """Return what the names in the archive of a path begin with: "" for a directory's contents, or for the root."""
    return "" if names_contents(path) else posixpath.basename(posixpath.normpath(posixpath.join("/", path)))


def _to_container(containers: Containers, path: str, name: str, target: str, keep_owner: bool, follow: bool) -> None:
    destination = _destination(containers, name, target)
    if path == "-":
        if not destination.is_dir:
            raise InvalidInput(f'destination "{name}:{target}" must be a directory')
        chunks = iter(lambda: sys.stdin.buffer.read(1 << 20), b"")
        containers.put_archive(name, destination.path, chunks, copy_owner=keep_owner, no_overwrite=True)
        return
    path, source = local_source(path, follow)
    placement = place(source, destination)
    entries = _local_entries(path, placement.name, follow or insists_on_directory(path))
    containers.put_archive(name, placement.folder, pack(entries), copy_owner=keep_owner, no_overwrite=True)


def _destination(containers: Containers, name: str, path: str) -> Target:
    """Return the target of a path in a container. Raise InvalidInput for a device, NotFound for no container."""
    path, stat = _followed(containers, name, path)
    if stat is None:
        containers.get(name)  # an unknown container is an error, a path that is not there may be made
        return Target(path, False, False)
    if stat.mode & GO_IRREGULAR:
        raise InvalidInput(f'"{name}:{path}" is no directory and no regular file')
    return Target(path, True, bool(stat.mode & GO_DIRECTORY))


def _followed(containers: Containers, name: str, path: str) -> tuple[str, PathStat | None]:
    """Follow a symbolic link at the end of a container's path. Return the path and its stat, or None for no file."""
    try:
        stat = containers.stat_path(name, path)
        if stat.mode & GO_SYMLINK and stat.link_target:
            path = posixpath.join("/", split_entry(path)[0], stat.link_target)
            stat = containers.stat_path(name, path)
    except NotFound:
        return path, None
    return path, stat


def _local_entries(path: str, name: str, follow: bool) -> Iterator[Packed]:
    """Yield the local file or directory `path`, and all that is in it, under `name`."""
    if name:
        yield Packed(name, path, follow=follow)
    if not os.path.isdir(path) or (os.path.islink(path) and not follow):
        return
    for folder, directories, files in os.walk(path):
        below = posixpath.normpath(posixpath.join(name, os.path.relpath(folder, path)))
        for child in sorted(directories + files):
            yield Packed(posixpath.join(below, child), os.path.join(folder, child))


@command("lamina export -o rootfs.tar app1")
@argument("container", complete=complete_containers)
@option("-o", "--output", default="", metavar="FILE", help="Write to a file, instead of stdout")
def export(session: Session, container: str, output: str) -> None:
    """Write a container's whole file system as a tar."""
    from lamina.cli.commands.archives import write_archive

    write_archive(lambda sink: session.client.containers.export(container, sink), output)

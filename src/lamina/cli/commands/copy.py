"""`lamina cp` and `export`."""

from __future__ import annotations

import os
import posixpath
import stat
import sys
from collections.abc import Iterator

import click

from lamina.cli import completing
from lamina.cli.arguments import command, switch
from lamina.cli.copying import GO_DIRECTORY, GO_SYMLINK, Source, Target, place, renamed, split_argument
from lamina.cli.session import Session
from lamina.client.containers import Containers
from lamina.client.pack import Packed, pack
from lamina.errors import InvalidInput, NotFound


@command("""
    lamina cp app1:/var/log/app.log .
    lamina cp ./site/. web:/srv
    lamina cp app1:/etc - | tar t
""")
@click.argument("source", metavar="[CONTAINER:]SOURCE|-")
@click.argument("target", metavar="[CONTAINER:]TARGET|-")
@switch("-a", "--archive", help="Keep owners")
@switch("-L", "--follow-link", help="Follow a symbolic link in SOURCE")
@switch("-q", "--quiet", help="Accepted for Docker's sake")
@click.pass_obj
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
    if follow:
        path = _followed(containers, name, path)[0]
    found, chunks = containers.get_archive(name, path)
    if target == "-":
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    from lamina.cli.unpacking import unpack

    contents = path.endswith("/.")
    entry = posixpath.basename(posixpath.normpath(path.removesuffix("/."))) or "/"
    source = Source(entry, bool(found["mode"] & GO_DIRECTORY), contents)
    placement = place(source, Target(target, os.path.exists(target), os.path.isdir(target)))
    if not os.path.isdir(placement.folder):
        raise NotFound(f"the directory {placement.folder} does not exist")
    unpack(chunks, entry, placement, keep_owner=keep_owner)


def _to_container(containers: Containers, path: str, name: str, target: str, keep_owner: bool, follow: bool) -> None:
    target, at_target = _followed(containers, name, target)
    if path == "-":
        if not at_target.is_dir:
            raise InvalidInput(f'destination "{name}:{target}" must be a directory')
        chunks = iter(lambda: sys.stdin.buffer.read(1 << 20), b"")
        containers.put_archive(name, target, chunks, archive_mode=keep_owner)
        return
    found = os.stat(path) if follow or path.endswith("/") else os.lstat(path)
    contents = path.endswith("/.") or path == "."
    entry = os.path.basename(os.path.abspath(path))
    placement = place(Source(entry, stat.S_ISDIR(found.st_mode), contents), at_target)
    entries = _local_entries(os.path.abspath(path), entry, placement.name, follow)
    containers.put_archive(name, placement.folder, pack(entries), archive_mode=keep_owner)


def _followed(containers: Containers, name: str, path: str) -> tuple[str, Target]:
    """A path in a container with a link at its end followed once, and what is there."""
    try:
        found = containers.stat_path(name, path)
        if found["mode"] & GO_SYMLINK and found["linkTarget"]:
            path = posixpath.join(posixpath.dirname(path.rstrip("/")), found["linkTarget"])
            found = containers.stat_path(name, path)
    except NotFound:
        containers.get(name)  # an unknown container is an error, a path that is not there may be made
        return path, Target(path, False, False)
    return path, Target(path, True, bool(found["mode"] & GO_DIRECTORY))


def _local_entries(path: str, source: str, name: str, follow: bool) -> Iterator[Packed]:
    yield Packed(renamed(source, source, name), path, follow=follow)
    if not os.path.isdir(path) or (os.path.islink(path) and not follow):
        return
    for folder, directories, files in os.walk(path):
        below = posixpath.join(source, os.path.relpath(folder, path))
        for child in sorted(directories + files):
            yield Packed(renamed(posixpath.normpath(f"{below}/{child}"), source, name), os.path.join(folder, child))


@command("lamina export -o rootfs.tar app1")
@click.argument("container", shell_complete=completing.containers)
@click.option("-o", "--output", default="", metavar="FILE", help="Write to a file, instead of stdout")
@click.pass_obj
def export(session: Session, container: str, output: str) -> None:
    """Write a container's whole file system as a tar."""
    from lamina.cli.commands.archives import write_archive

    write_archive(lambda sink: session.client.containers.export_to(container, sink), output)

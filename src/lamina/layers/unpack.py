"""Unpacking a tar below a directory, and nowhere else, whatever the archive says.

Every name is looked up by the kernel below the root's descriptor (openat2 with RESOLVE_IN_ROOT), so absolute paths,
".." and symlinks, old or new, lead to places inside; the last part of a path is never followed. What an archive leads
to is the same as what IndexWriter makes of it: later members replace earlier ones, a directory over a directory keeps
what is in it, missing parents are made.
"""

from __future__ import annotations

import enum
import errno
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lamina.errors import Conflict, InvalidInput
from lamina.layers.entry import Entry, EntryType, Mark, classify
from lamina.layers.limits import Limits
from lamina.layers.parents import Parents
from lamina.layers.placing import Placer, clear_xattrs, placing
from lamina.layers.removetree import remove_tree
from lamina.layers.tar.reader import Member, read_tar
from lamina.layers.tar.source import Readable
from lamina.layers.whiteouts import Deletions, OverlayMarks, PlainNames, Whiteouts, is_whiteout
from lamina.linux.paths import RESOLVE_IN_ROOT, openat2
from lamina.linux.user_namespaces import IdMap

_UNFOLLOWED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Style(enum.StrEnum):
    """What a `.wh.` name in the archive does."""

    OVERLAY = "overlay"
    """It becomes what overlayfs wants: a character device 0:0, or the mark of an opaque directory. The tree holds one
    layer alone. A whiteout hides the layers below only; what the same archive has there stays, whatever comes first.
    The archive's own trusted.overlay attributes are kept one level deeper, so that they mean nothing here."""
    APPLY = "apply"
    """It deletes from the tree, which holds the layers below; what the same archive has put there stays."""
    PLAIN = "plain"
    """Nothing: it is a file like any other."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was unpacked: members of the archive, and bytes of their files with holes."""

    entries: int
    size: int


def unpack(
    source: Readable | Path,
    root: int,
    style: Style | str = Style.OVERLAY,
    limits: Limits | None = None,
    *,
    owner: tuple[int, int] | None = None,
    keep_kinds: bool = False,
    change: Callable[[Entry], Entry | None] | None = None,
    ids: IdMap | None = None,
) -> Unpacked:
    """Unpack the plain tar `source` (a stream, or a file) below the directory that the descriptor `root` holds open.

    Restores owner (root only), mode, times, extended attributes, capabilities, devices and holes. `owner` is given to
    every file in place of its own. `keep_kinds` refuses, with Conflict, to put a directory where something else is, or
    the other way round. `change` returns what becomes of a member, None for one that is left out. `ids` says who on the
    host the owners in the archive are. Raise InvalidInput for a broken archive, TooLarge beyond a limit, Forbidden,
    NoSpace; what was unpacked before stays, and it is the caller's to remove. Nothing is synced.
    """
    if isinstance(source, Path):
        with source.open("rb", buffering=0) as file:
            return unpack(file, root, style, limits, owner=owner, keep_kinds=keep_kinds, change=change, ids=ids)
    placer = Placer(owner, own=os.geteuid() == 0, ids=ids)
    unpacking = _Unpacking(root, _whiteouts(Style(style), root), placer, keep_kinds)
    entries = size = 0
    try:
        for member in read_tar(source, limits):
            entries += 1
            if change is not None:
                changed = change(member.entry)
                if changed is None:
                    continue
                member.entry = changed
            with placing(member.entry.path):
                unpacking.put(member)
            size += member.entry.size
        unpacking.finish()
    finally:
        unpacking.close()
    return Unpacked(entries, size)


def moved(entry: Entry, place: Callable[[str], str | None]) -> Entry | None:
    """Return an entry at another path, None for one that has none. `place` takes and gives paths of an Entry."""
    path = place(entry.path)
    target = place(entry.target) if entry.type is EntryType.HARDLINK else entry.target
    return None if path is None or target is None else replace(entry, path=path, target=target)


def unpack_as_own(source: Path, root: int) -> Unpacked:
    """Unpack a tar for somebody who wants the files and no more, below the directory that `root` holds open.

    All are the caller's own. No file gets set-id bits, attributes such as capabilities, or leave for others to write,
    and devices and pipes are left out. Raise as `unpack` does.
    """
    left_out: set[str] = set()

    def plain(entry: Entry) -> Entry | None:
        is_link = entry.type is EntryType.HARDLINK
        if entry.type.is_device or entry.type is EntryType.FIFO or (is_link and entry.target in left_out):
            left_out.add(entry.path)
            return None
        return replace(entry, mode=entry.mode & 0o755, xattrs={})

    return unpack(source, root, Style.PLAIN, owner=(os.geteuid(), os.getegid()), change=plain)


def _whiteouts(style: Style, root: int) -> Whiteouts:
    if style is Style.OVERLAY:
        return OverlayMarks()
    return Deletions(root) if style is Style.APPLY else PlainNames()


class _Unpacking:
    def __init__(self, root: int, whiteouts: Whiteouts, placer: Placer, keep_kinds: bool) -> None:
        self._root = root
        self._whiteouts = whiteouts
        self._placer = placer
        self._keep_kinds = keep_kinds
        self._parents = Parents(root, whiteouts.make_way)
        self._directories: dict[str, tuple[int, Entry]] = {}

    def put(self, member: Member) -> None:
        """Put one member in place, or delete what it deletes of the layers below."""
        entry = member.entry
        mark, about = Mark.NONE, entry.path
        if self._whiteouts.marks and ".wh." in about:
            mark, about = classify(about)
        if mark is Mark.OPAQUE:
            if self._whiteouts.hide_below(self._parents.open(about)):
                self._parents.forget()
        elif mark is Mark.WHITEOUT:
            head, _, name = about.rpartition("/")
            if self._whiteouts.hide(self._parents.open(head), name):
                self._parents.forget()
        elif mark is Mark.NONE:
            self._place(member, entry)

    def _place(self, member: Member, entry: Entry) -> None:
        if not entry.path:
            self._describe_root(entry)
        elif entry.type is EntryType.DIRECTORY:
            self._directory(entry)
        else:
            try:
                self._make(member, entry)
            except FileExistsError:
                if entry.type is EntryType.HARDLINK:
                    self._relink(entry)
                else:
                    self._clear(entry)
                    self._make(member, entry)
            self._whiteouts.placed(self._parents.open(entry.parent), entry.name)

    def _make(self, member: Member, entry: Entry) -> None:
        if entry.type is EntryType.HARDLINK:
            directory, target, _ = self._link_target(entry)
            parent = self._parents.open(entry.parent)
            os.link(target, entry.name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
            return
        parent = self._parents.open(entry.parent)
        xattrs = self._whiteouts.xattrs(entry.xattrs)
        if entry.type is EntryType.REGULAR:
            self._placer.file(parent, entry.name, entry, xattrs, member.data)
        else:
            self._placer.special(parent, entry.name, entry, xattrs)

    def _link_target(self, entry: Entry) -> tuple[int, str, os.stat_result]:
        """Return where the file is that a hard link names: its directory, its name and its lstat."""
        head, _, name = entry.target.rpartition("/")
        directory = self._parents.open(head)
        status = _lstat(directory, name) if name else None
        if status is None or stat.S_ISDIR(status.st_mode) or (self._whiteouts.marks and is_whiteout(status)):
            raise InvalidInput(
                f"the hard link {entry.path!r} points at {entry.target!r}, which is no file here",
                path=entry.path,
                target=entry.target,
            )
        return directory, name, status

    def _relink(self, entry: Entry) -> None:
        """Put a hard link where something is, which may be the very file or a directory that holds it."""
        directory, target, status = self._link_target(entry)
        parent = self._parents.open(entry.parent)
        here = _lstat(parent, entry.name)
        if here is not None and (status.st_dev, status.st_ino) == (here.st_dev, here.st_ino):
            return
        meanwhile = f".lamina-{secrets.token_hex(8)}"
        os.link(target, meanwhile, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        try:
            self._clear(entry)
        except BaseException:
            os.unlink(meanwhile, dir_fd=self._parents.open(entry.parent))
            raise
        parent = self._parents.open(entry.parent)
        os.rename(meanwhile, entry.name, src_dir_fd=parent, dst_dir_fd=parent)

    def _clear(self, entry: Entry) -> None:
        """Remove what stands where `entry` belongs."""
        parent = self._parents.open(entry.parent)
        status = _lstat(parent, entry.name)
        if status is None:
            return
        is_directory = stat.S_ISDIR(status.st_mode)
        if self._keep_kinds and is_directory != (entry.type is EntryType.DIRECTORY):
            what = "a file" if is_directory else "a directory"
            raise Conflict(f"cannot overwrite {entry.path!r} with {what}", path=entry.path)
        remove_tree(parent, entry.name)
        if is_directory or stat.S_ISLNK(status.st_mode):
            self._parents.forget()

    def _directory(self, entry: Entry) -> None:
        parent = self._parents.open(entry.parent)
        try:
            os.mkdir(entry.name, 0o700, dir_fd=parent)
        except FileExistsError:
            status = _lstat(parent, entry.name)
            if status is None or not stat.S_ISDIR(status.st_mode):
                self._clear(entry)
                parent = self._parents.open(entry.parent)
                os.mkdir(entry.name, 0o700, dir_fd=parent)
                self._whiteouts.replaced(parent, entry.name)
        self._whiteouts.placed(parent, entry.name)
        self._dress(self._placer.open_directory(parent, entry.name), entry)

    def _describe_root(self, entry: Entry) -> None:
        if entry.type is not EntryType.DIRECTORY:
            raise InvalidInput(f"the root of the archive is a {entry.type.value}, not a directory")
        self._dress(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root), entry)

    def _dress(self, directory: int, entry: Entry) -> None:
        """Describe a directory, and close it. Its mode and time come with `finish`, when nothing is put into it."""
        try:
            xattrs = self._whiteouts.xattrs(entry.xattrs)
            spared = self._whiteouts.spared(xattrs)
            if spared is not None:
                clear_xattrs(directory, spared)
            self._placer.dress(directory, entry, xattrs, entry.mode | 0o700)
            self._directories[self._place_of(directory, entry)] = (os.fstat(directory).st_ino, entry)
        finally:
            os.close(directory)

    def _place_of(self, directory: int, entry: Entry) -> str:
        """Return the directory's path without symlinks: a later member may replace a symlink that led to it."""
        try:
            root, place = (os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in (self._root, directory))
        except OSError:  # a path too long for proc(5), or no /proc
            return entry.path
        root = root.rstrip("/")
        return place[len(root) + 1 :] if place.startswith(root + "/") or place == root else entry.path

    def finish(self) -> None:
        """Give the directories their modes and times, the deepest first."""
        for path in sorted(self._directories, key=lambda path: path.count("/"), reverse=True):
            number, entry = self._directories[path]
            with placing(entry.path):
                self._finish_directory(path, number, entry)

    def _finish_directory(self, path: str, number: int, entry: Entry) -> None:
        try:
            directory = openat2(self._root, path or ".", _UNFOLLOWED, resolve=RESOLVE_IN_ROOT)
        except OSError as error:
            if error.errno in _GONE:
                return
            raise
        try:
            if os.fstat(directory).st_ino == number:
                if entry.mode | 0o700 != entry.mode:
                    os.fchmod(directory, entry.mode)
                os.utime(directory, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(directory)

    def close(self) -> None:
        self._parents.forget()


def _lstat(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None

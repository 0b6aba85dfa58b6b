"""Archives that want out of their root: every trick that has worked on some unpacker, by name."""

from __future__ import annotations

from lamina.layers.entry import Entry, EntryType

Members = list[tuple[Entry, bytes]]

UP = "../../../../../../../../../.."


def file(path: str, data: bytes = b"evil", mode: int = 0o777) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.REGULAR, mode, size=len(data)), data


def folder(path: str, mode: int = 0o777) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.DIRECTORY, mode, 12345, 12345), b""


def link(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.SYMLINK, 0o777, 12345, 12345, target=target), b""


def hard(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.HARDLINK, 0o777, target=target), b""


def attacks(outside: str) -> dict[str, Members]:
    """All of them. `outside` is the absolute path of the directory that holds the root and the victim."""
    groups = (paths, symlinks, tricky_symlinks, folders, hard_links, special_files, parents, whiteouts, attributes)
    return {name: members for group in groups for name, members in group(outside, f"{outside}/victim").items()}


def paths(outside: str, victim: str) -> dict[str, Members]:
    """Names that lead out by themselves."""
    return {
        "absolute path": [file(f"{victim}/file")],
        "path upwards": [file("../victim/file")],
        "path upwards from within": [folder("a"), file("a/../../victim/file")],
        "path far upwards": [file(f"{UP}{victim}/file")],
        "absolute path upwards": [file(f"/..{victim}/file")],
        "backslashes": [file("..\\victim\\file")],
    }


def symlinks(outside: str, victim: str) -> dict[str, Members]:
    """Files that go where a symlink of the archive leads."""
    return {
        "file through a relative symlink": [link("s", "../victim"), file("s/file")],
        "file through an absolute symlink": [link("s", victim), file("s/file")],
        "file through two symlinks": [link("a", ".."), link("b", "a/victim"), file("b/file")],
        "file through a chain in a folder": [
            folder("d"),
            link("d/a", ".."),
            link("d/a/b", ".."),
            file("d/a/b/victim/file"),
        ],
        "file onto a symlink": [link("s", f"{victim}/file"), file("s")],
        "file onto a dangling symlink": [link("s", f"{victim}/new"), file("s")],
        "symlink through a symlink": [link("s", victim), link("s/new", "/etc/passwd")],
    }


def tricky_symlinks(outside: str, victim: str) -> dict[str, Members]:
    """Symlinks into /proc, in circles, and such as come or go between two members."""
    return {
        "magic link to the root": [link("s", "/proc/self/root"), file(f"s{victim}/file")],
        "magic link to a descriptor": [link("s", "/proc/self/fd"), file("s/3/../victim/file")],
        "magic link to the working directory": [link("s", "/proc/self/cwd"), file(f"s/{UP}{victim}/file")],
        "symlink in circles": [link("a", "b"), link("b", "a"), file("a/file")],
        "symlink to itself": [link("a", "a"), file("a/file"), folder("a")],
        "symlink swapped while in use": [
            folder("d"),
            file("d/one"),
            link("d", victim),
            file("d/file"),
            hard("d/h", "d/file"),
        ],
        "parent remembered across a swap": [
            folder("a"),
            folder("a/b"),
            file("a/b/x"),
            link("a", outside),
            file("a/b/victim"),
        ],
        "a name of the kernel's": [link("...", victim), file(".../file")],
    }


def folders(outside: str, victim: str) -> dict[str, Members]:
    """Directories that a symlink stands for, and roots that are none."""
    return {
        "folder onto a symlink": [link("s", victim), folder("s", 0o777), file("s/file")],
        "folder attributes through a symlink": [link("s", outside), folder("s/victim", 0o777)],
        "folder whose place a symlink takes": [folder("s", 0o777), link("s", victim)],
        "folder whose parent a symlink takes": [folder("s"), folder("s/victim", 0o777), link("s", "..")],
        "root is a symlink": [link(".", victim), file("file")],
        "root is a symlink by another name": [link("./", victim), file("file")],
        "root is a file": [file("")],
    }


def hard_links(outside: str, victim: str) -> dict[str, Members]:
    """Second names for what is outside."""
    return {
        "hard link upwards": [hard("h", "../victim/file"), file("h")],
        "hard link to an absolute path": [hard("h", f"{victim}/file"), file("h", b"x")],
        "hard link through a symlink": [link("s", victim), hard("h", "s/file")],
        "hard link to a symlink and write": [link("s", f"{victim}/file"), hard("h", "s"), file("h")],
        "hard link onto a symlink": [link("s", f"{victim}/new"), file("f"), hard("s", "f")],
        "hard link from a symlinked place": [link("s", victim), file("f"), hard("s/new", "f")],
    }


def special_files(outside: str, victim: str) -> dict[str, Members]:
    """Pipes and devices, and writing to them."""
    return {
        "pipe through a symlink": [link("s", victim), (Entry("s/new", EntryType.FIFO), b"")],
        "device through a symlink": [link("s", victim), (Entry("s/new", EntryType.CHAR, major=1, minor=3), b"")],
        "device and write to it": [(Entry("d", EntryType.CHAR, 0o666, major=1, minor=3), b""), file("d")],
        "pipe and write to it": [(Entry("p", EntryType.FIFO, 0o666), b""), file("p")],
        "pipe as parent": [(Entry("p", EntryType.FIFO), b""), file("p/file")],
    }


def parents(outside: str, victim: str) -> dict[str, Members]:
    """Parents that are not there, or no directories."""
    return {
        "dangling symlink as parent": [link("s", f"{victim}/deep/er"), file("s/file")],
        "dangling symlink upwards as parent": [link("s", f"{UP}{outside}/victim/deep"), file("s/file")],
        "file as parent": [file("f"), file("f/g")],
    }


def whiteouts(outside: str, victim: str) -> dict[str, Members]:
    """Deletions of what is outside."""
    return {
        "whiteout of what is outside": [file("../.wh.victim", b"")],
        "whiteout of the folder above": [file(".wh...", b"")],
        "whiteout of the folder itself": [folder("d"), file("d/.wh..", b"")],
        "whiteout of nothing": [file(".wh.", b"")],
        "whiteout through a symlink": [link("s", victim), file("s/.wh.file", b"")],
        "whiteout of a symlink": [link("s", victim), file(".wh.s", b"")],
        "opaque through a symlink": [link("s", victim), file("s/.wh..wh..opq", b"")],
        "opaque above the root": [file("../victim/.wh..wh..opq", b"")],
        "opaque root": [file(".wh..wh..opq", b"")],
        "whiteout under a whiteout": [file(".wh.victim", b""), file(".wh.victim/file")],
    }


def attributes(outside: str, victim: str) -> dict[str, Members]:
    """Owners, modes and holes for what is outside."""
    return {
        "attributes through a symlink": [
            link("s", victim),
            (Entry("s/file", EntryType.REGULAR, 0o4777, 4, 4, xattrs={"user.x": b"1"}), b""),
        ],
        "attributes of a symlink": [
            (Entry("s", EntryType.SYMLINK, 0o4777, 4, 4, target=f"{victim}/file", xattrs={"trusted.x": b"1"}), b"")
        ],
        "mode of a symlink": [(Entry("s", EntryType.SYMLINK, 0o000, target=f"{victim}/file"), b"")],
        "sparse through a symlink": [
            link("s", f"{victim}/file"),
            (Entry("s", EntryType.REGULAR, size=5000, sparse=((4096, 4),)), b"evil"),
        ],
    }

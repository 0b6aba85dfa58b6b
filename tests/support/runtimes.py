"""Runtime programs that hang or are slow, as the real ones are on what an image may hold and on a busy machine."""

from __future__ import annotations

from pathlib import Path

from support.programs import need


def unaware(folder: Path, *, deletes: bool = True) -> str:
    """The path of a runc that does not tell who it is: the engine lets it open whatever the image has in /etc.

    Unless it `deletes` it hangs when it is to forget a container, too.
    """
    script = folder / "runc"
    version = '[ "$1" = --version ] && exec echo other version 1'
    hang = "" if deletes else 'case " $* " in *" delete "*) exec sleep 300;; esac'
    script.write_text(f'#!/bin/sh\n{version}\n{hang}\nexec {need("runc")} "$@"\n')
    script.chmod(0o755)
    return str(script)


def slow_to_exec(folder: Path) -> str:
    """The path of a runc that takes more than a second to start an exec."""
    script = folder / "runc"
    slow = 'case " $* " in *" exec "*) sleep 1.1;; esac'
    script.write_text(f'#!/bin/sh\n{slow}\nexec {need("runc")} "$@"\n')
    script.chmod(0o755)
    return str(script)

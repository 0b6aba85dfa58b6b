"""Runtime programs that hang, as the real ones do on what an image may hold."""

from __future__ import annotations

from pathlib import Path

from support.programs import need


def unaware(folder: Path) -> str:
    """The path of a runc that does not tell who it is: the engine lets it open whatever the image has in /etc."""
    script = folder / "runc"
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo other version 1\nexec {need("runc")} "$@"\n')
    script.chmod(0o755)
    return str(script)

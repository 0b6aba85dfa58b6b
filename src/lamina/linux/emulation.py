"""Which machines' programs this kernel runs: its own, and those that binfmt_misc gives to an emulator.

Rule: Linux, Documentation/admin-guide/binfmt-misc.rst. Only an entry with the flag F works in a container: the kernel
opened its emulator when it was registered, so the container's root need not have it.
"""

from __future__ import annotations

from pathlib import Path

_ENTRIES = Path("/proc/sys/fs/binfmt_misc")
_ELF = b"\x7fELF"
_LITTLE, _BIG = 1, 2
# Class (1: 32 bits, 2: 64 bits), byte order and machine of an ELF header, from elf.h, and Go's word for it.
_ARCHITECTURES = {
    (1, _LITTLE, 3): "386",
    (2, _LITTLE, 62): "amd64",
    (1, _LITTLE, 40): "arm",
    (2, _LITTLE, 183): "arm64",
    (2, _LITTLE, 243): "riscv64",
    (2, _LITTLE, 21): "ppc64le",
    (2, _BIG, 22): "s390x",
    (2, _LITTLE, 258): "loong64",
    (2, _LITTLE, 8): "mips64le",
    (2, _BIG, 8): "mips64",
}


def emulated_architectures(entries: Path = _ENTRIES) -> tuple[str, ...]:
    """Return the architectures whose programs an emulator runs in any container here, sorted."""
    try:
        texts = [path.read_text() for path in entries.iterdir() if path.name not in ("register", "status")]
    except OSError:
        return ()
    architectures = {architecture for text in texts if (architecture := _architecture(text)) is not None}
    return tuple(sorted(architectures))


def _architecture(entry: str) -> str | None:
    """Return the architecture of an entry; None when it is disabled, without F, or not about ELF programs."""
    lines = entry.splitlines()
    fields = dict(line.partition(" ")[::2] for line in lines)
    if not lines or lines[0] != "enabled" or "F" not in fields.get("flags:", "") or fields.get("offset") != "0":
        return None
    try:
        magic = bytes.fromhex(fields.get("magic", ""))
    except ValueError:
        return None
    if len(magic) < 20 or not magic.startswith(_ELF):
        return None
    order = magic[5]
    machine = int.from_bytes(magic[18:20], "big" if order == _BIG else "little")
    return _ARCHITECTURES.get((magic[4], order, machine))

"""How much an archive may ask for before it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.errors import TooLarge

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one archive. Passing one raises TooLarge that names the limit; nothing is kept of the archive.

    The defaults are far above what real images hold and far below what hurts the machine that reads them.
    """

    entries: int = 1_000_000
    """Members, counting whiteouts. Each takes about 900 bytes of memory while its archive is read."""
    metadata_size: int = 128 << 20
    """Bytes of paths, link targets and extended attributes of all members, and 64 for each piece of a sparse file."""
    path_length: int = 4095
    """Bytes of one path or link target: the kernel's PATH_MAX without its final NUL."""
    name_length: int = 255
    """Bytes of one part of a path: the kernel's NAME_MAX."""
    expanded_size: int = 256 * GIB
    """Bytes of the uncompressed archive."""
    file_size: int = 16 * 1024 * GIB
    """Bytes of one file with its holes."""
    header_size: int = 1 << 20
    """Bytes of one extended header (PAX records, a GNU long name) or sparse map."""
    sparse_pieces: int = 1 << 17
    """Data extents of one sparse file."""

    def check_expanded(self, size: int) -> None:
        """Raise TooLarge when an archive of `size` bytes so far passes `expanded_size`."""
        if size > self.expanded_size:
            raise TooLarge(f"the archive is larger than {self.expanded_size} bytes", limit=self.expanded_size)

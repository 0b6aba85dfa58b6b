"""Where the frames of a zstd stream begin and end (RFC 8878, section 3.1), without expanding them."""

from __future__ import annotations

from collections.abc import Callable

_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_ID = (0, 1, 2, 4)
_CONTENT_SIZE = (0, 2, 4, 8)
_RLE = 1


class FrameWalker:
    """Follows a stream of frames, block by block, as its bytes pass.

    It checks nothing but the outline: what is no frame makes `at_end_of_frame` False for good.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._skip = 0
        self._step: Callable[[bytes], None] = self._magic
        self._needs = 4
        self._checksum = 0

    @property
    def at_end_of_frame(self) -> bool:
        """True when the bytes so far are whole frames."""
        return self._step == self._magic and not self._pending and not self._skip

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        position = 0
        while position < len(data):
            if self._skip:
                taken = min(self._skip, len(data) - position)
                self._skip -= taken
            else:
                taken = min(self._needs - len(self._pending), len(data) - position)
                self._pending += data[position : position + taken]
                if len(self._pending) == self._needs:
                    header, self._pending = self._pending, b""
                    self._step(header)
            position += taken

    def _await(self, step: Callable[[bytes], None], needs: int) -> None:
        self._step = step
        self._needs = needs

    def _magic(self, header: bytes) -> None:
        if header == _MAGIC:
            self._await(self._descriptor, 1)
        elif header[1:] == b"\x2a\x4d\x18" and header[0] & 0xF0 == 0x50:
            self._await(self._skippable, 4)
        else:
            self._await(self._lost, 1)

    def _lost(self, header: bytes) -> None:
        pass

    def _skippable(self, header: bytes) -> None:
        self._skip = int.from_bytes(header, "little")
        self._await(self._magic, 4)

    def _descriptor(self, header: bytes) -> None:
        flags = header[0]
        single_segment = flags >> 5 & 1
        content_size = _CONTENT_SIZE[flags >> 6] or single_segment
        self._checksum = 4 * (flags >> 2 & 1)
        self._skip = (1 - single_segment) + _DICTIONARY_ID[flags & 3] + content_size
        self._await(self._block, 3)

    def _block(self, header: bytes) -> None:
        value = int.from_bytes(header, "little")
        last, kind, size = value & 1, value >> 1 & 3, value >> 3
        self._skip = 1 if kind == _RLE else size
        if last:
            self._skip += self._checksum
            self._await(self._magic, 4)

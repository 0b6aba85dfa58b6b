"""Commands to nftables, without a process where that can be.

They run by libnftables and ctypes, or by the program `nft` where the library is missing. A call costs 0.2 ms through
the library and 30 ms through the program. Commands of one call are one transaction: the kernel takes all of them or
none (nft(8), "atomic rule replacement").
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
from typing import Protocol

from lamina.errors import Internal, LaminaError, Unavailable, Unsupported

_NEXT_COMPLAINT = re.compile(r"\n(?:\S+ )?Error: ")  # the program names the place in its input first
_HANDLES = 1 << 3  # NFT_CTX_OUTPUT_HANDLE: lists show the numbers by which rules can be deleted


class Nft(Protocol):
    """What changes the packet filter: libnftables where it is installed, else the program `nft`."""

    def run(self, commands: str) -> str:
        """Apply `commands` as one transaction and return what they print.

        Raise Unsupported where the kernel has no such tables, else Internal with nft's words.
        """

    def close(self) -> None:
        """Free what is held; a second call does nothing."""


def refusal(errors: str, commands: str) -> LaminaError:
    """Return the error that nft's words make. Only its first complaint counts: the others follow from it."""
    first = _NEXT_COMPLAINT.split(errors.strip())[0]
    if "Operation not supported" in first:  # EOPNOTSUPP, for a family that the kernel was built without
        return Unsupported(
            "this kernel has no nftables tables of the family inet, which bridge networks need",
            advice='Use a kernel with CONFIG_NF_TABLES_INET, or set "bridge" to "none" and use other networks',
        )
    return Internal(f"nftables refused a change: {first}", commands=commands)


class LibraryNft:
    """nft by libnftables. The netlink socket belongs to the network namespace the object was made in. Thread-safe."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        for name in ("nft_ctx_buffer_error", "nft_ctx_buffer_output", "nft_ctx_free"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_get_error_buffer", "nft_ctx_get_output_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name).restype = ctypes.c_char_p
        self._library = library
        self._lock = threading.Lock()
        self._context: int | None = library.nft_ctx_new(0)
        library.nft_ctx_output_set_flags(self._context, _HANDLES)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)

    def run(self, commands: str) -> str:
        with self._lock:
            if self._context is None:
                raise Internal("nftables was used after it was closed")
            failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            # Both buffers must be read after each call: reading resets them.
            errors = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode(errors="replace")
            output = (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode(errors="replace")
        if failed:
            raise refusal(errors, commands)
        return output

    def close(self) -> None:
        with self._lock:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None


class ProgramNft:
    """nft by the program of that name, one process a call."""

    def __init__(self, program: str) -> None:
        self._program = program

    def run(self, commands: str) -> str:
        done = subprocess.run(
            [self._program, "-a", "-f", "-"], input=commands, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise refusal(done.stderr, commands)
        return done.stdout

    def close(self) -> None:
        pass


def open_nft() -> Nft:
    """Return the quickest nft this machine has. Raise Unavailable where it has none."""
    try:
        return LibraryNft()
    except OSError:
        program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise Unavailable("nftables is not installed", advice="Install the package nftables")
    return ProgramNft(program)

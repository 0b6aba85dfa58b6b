"""The keys that leave a container running: `ctrl-p,ctrl-q`, or what `--detach-keys` says."""

from __future__ import annotations

from lamina.errors import InvalidInput

DEFAULT = "ctrl-p,ctrl-q"


def parse_keys(text: str) -> bytes:
    """The bytes that a sequence such as "ctrl-a,x" stands for. Raises InvalidInput."""
    keys = bytearray()
    for key in (text or DEFAULT).split(","):
        letter = key.removeprefix("ctrl-").lower() if key.startswith("ctrl-") else ""
        if letter and len(letter) == 1 and ((letter.isascii() and letter.isalpha()) or letter in "@[\\]^_"):
            keys.append(ord(letter.upper()) & 0x1F)
        elif len(key.encode()) == 1:
            keys += key.encode()
        else:
            raise InvalidInput(f"unknown detach key {key!r}", advice="Write keys like a or ctrl-a, with commas between")
    return bytes(keys)


class DetachFilter:
    """Watches input for the sequence. Keys that begin it are held back until it is clear what they are."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What may pass, and whether the sequence was completed: then nothing behind it passes."""
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self._held = 0
                    return bytes(out), True
                continue
            out += self._keys[: self._held]
            self._held = 1 if byte == self._keys[0] else 0
            if not self._held:
                out.append(byte)
            elif len(self._keys) == 1:
                return bytes(out), True
        return bytes(out), False

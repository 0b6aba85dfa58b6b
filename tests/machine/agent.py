"""Run in the machine what its host asks for: a line of JSON with a command comes in, one with its result goes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tty
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command, for `seconds` at most. A status of -1 says that it did not end by itself, or did not start."""
    try:
        done = subprocess.run(
            request["command"],
            input=request["stdin"].encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=request["seconds"],
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return {"status": -1, "output": (error.stdout or b"").decode(errors="replace") + "\n(it took too long)"}
    except OSError as error:
        return {"status": -1, "output": str(error)}
    return {"status": done.returncode, "output": done.stdout.decode(errors="replace")}


def main() -> None:
    os.environ.update(PATH=PATH, HOME="/root", TMPDIR="/disk", LANG="C.UTF-8")
    line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    with open(line, "rb+", buffering=0) as stream:
        stream.write(b'{"ready": true}\n')
        for request in stream:
            stream.write(json.dumps(answer(json.loads(request))).encode() + b"\n")


if __name__ == "__main__":
    main()

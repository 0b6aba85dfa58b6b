"""`config.json`, the file that Docker's clients share: read whole, written back with what we do not know."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamina.errors import InvalidInput


class ConfigFile:
    """The user's `config.json` in `folder`; an empty one where there is none.

    `problem` tells why a file that is there could not be read: the commands go on without it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config.json"
        self.document: dict[str, Any] = {}
        self.problem = ""
        try:
            document = json.loads(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"
            return
        except (ValueError, RecursionError) as error:
            self.problem = f"{self.path} is not valid JSON: {error}"
            return
        if isinstance(document, dict):
            self.document = document
        else:
            self.problem = f"{self.path} holds no JSON object"

    def text(self, key: str) -> str:
        """A value that is a string; "" where it is missing or something else."""
        value = self.document.get(key)
        return value if isinstance(value, str) else ""

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A value that is an object; an empty one where it is missing or something else."""
        value = self.document.get(key)
        return value if isinstance(value, dict) else {}

    def save(self) -> None:
        """Replace the file at once, readable by its owner only: it may hold credentials.

        Raise InvalidInput where it could not be read: what is in it would be lost.
        """
        if self.problem:
            raise InvalidInput(self.problem, advice="Mend or remove the file first")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f"config.json.{os.getpid()}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.document, file, indent="\t")
            file.write("\n")
        temporary.replace(self.path.resolve())


def config_folder(flag: str = "") -> Path:
    """`--config`, else `DOCKER_CONFIG`, else ~/.docker."""
    return Path(flag or os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")

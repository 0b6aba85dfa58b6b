"""Docker's context store: `contexts/meta/<sha256 of the name>/meta.json`, and TLS files beside."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from lamina.client.dial import Tls
from lamina.errors import Conflict, InvalidInput, NotFound

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")


class StoredContext(NamedTuple):
    """A named endpoint. `document` is its meta.json."""

    name: str
    host: str
    description: str
    tls: Tls | None
    document: dict[str, Any]


class ContextStore:
    """The contexts below a configuration folder. "default" is never stored: it comes from the environment."""

    def __init__(self, folder: Path) -> None:
        self._meta = folder / "contexts" / "meta"
        self._tls = folder / "contexts" / "tls"

    def get(self, name: str) -> StoredContext:
        """Return a context. Raise NotFound, or InvalidInput for a damaged file."""
        try:
            document = json.loads((self._meta / _key(name) / "meta.json").read_text())
        except FileNotFoundError:
            raise NotFound(f"context {name!r} does not exist", advice="See `lamina context ls`") from None
        except ValueError as error:
            raise InvalidInput(f"the file of context {name!r} is damaged ({error})") from error
        return self._stored(document)

    def list(self) -> list[StoredContext]:
        """Return all contexts, in the order of their names."""
        files = self._meta.glob("*/meta.json")
        return sorted((self._stored(json.loads(file.read_text())) for file in files), key=lambda c: c.name)

    def create(self, name: str, host: str, description: str, tls: Tls | None) -> None:
        """Create a context. Raise Conflict for a name that is taken, InvalidInput for an invalid name."""
        if name == "default" or not NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} cannot be the name of a context")
        folder = self._meta / _key(name)
        if folder.exists():
            raise Conflict(f"context {name!r} already exists")
        endpoint = {"Host": host, "SkipTLSVerify": bool(tls and not tls.verify)}
        document = {"Name": name, "Metadata": {"Description": description}, "Endpoints": {"docker": endpoint}}
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(json.dumps(document))
        if tls is not None:
            self._keep_files(name, tls)

    def remove(self, name: str) -> None:
        self.get(name)
        shutil.rmtree(self._meta / _key(name))
        shutil.rmtree(self._tls / _key(name), ignore_errors=True)

    def _keep_files(self, name: str, tls: Tls) -> None:
        folder = self._tls / _key(name) / "docker"
        folder.mkdir(parents=True, mode=0o700)
        for source, target in ((tls.ca, "ca.pem"), (tls.cert, "cert.pem"), (tls.key, "key.pem")):
            if source:
                shutil.copyfile(source, folder / target)
                (folder / target).chmod(0o600)

    def _stored(self, document: dict[str, Any]) -> StoredContext:
        name = str(document.get("Name", ""))
        endpoint = (document.get("Endpoints") or {}).get("docker") or {}
        folder = self._tls / _key(name) / "docker"
        ca, cert, key = (
            str(folder / name) if (folder / name).exists() else "" for name in ("ca.pem", "cert.pem", "key.pem")
        )
        verify = not endpoint.get("SkipTLSVerify")
        tls = Tls(ca, cert, key, verify) if ca or cert or not verify else None
        description = str((document.get("Metadata") or {}).get("Description", ""))
        return StoredContext(name, str(endpoint.get("Host", "")), description, tls, document)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()

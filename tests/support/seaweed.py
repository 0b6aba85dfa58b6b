"""An S3 server in a directory of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

_KEY, _SECRET = "tester", "not-a-secret"
_STARTING = 60.0  # seconds
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class SeaweedServer:
    """SeaweedFS with access keys on, on free ports of loopback. A context manager that leaves nothing."""

    environment: ClassVar = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET}
    """What a process needs to get in."""

    def __enter__(self) -> SeaweedServer:
        self._folder = Path(tempfile.mkdtemp(prefix="lamina-s3-"))
        user = {"name": "tests", "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}], "actions": ["Admin"]}
        (self._folder / "s3.json").write_text(json.dumps({"identities": [user]}))
        ports = self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        arguments = [f"-{name}={port}" for name, port in ports.items()]
        arguments += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._folder}", "-master.volumeSizeLimitMB=64"]
        arguments += [
            "-volume.max=1000",
            "-master.telemetry=false",
            "-s3",
            "-s3.port.lance=0",
            "-s3.port.iceberg=0",
            f"-s3.config={self._folder}/s3.json",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("weed")), f"-logdir={self._folder}", "server", *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        try:
            self.url(f"first{uuid.uuid4().hex}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)
        for port in self._ports.values():  # sockets that it puts beside its folder
            for path in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                path.unlink()

    def url(self, bucket: str) -> str:
        """The URL of a fresh bucket, as `--storage` takes it. It works once this returns."""
        store = self._store(bucket)
        deadline = time.monotonic() + _STARTING
        while True:
            try:
                obstore.put(store, "probe", b"x", use_multipart=False)
                obstore.delete(store, "probe")
                return f"s3://{bucket}?endpoint={self._endpoint}&region=us-east-1"
            except BaseError:
                if time.monotonic() > deadline:
                    raise AssertionError((self._folder / "log").read_text()[-4000:]) from None
                time.sleep(0.05)

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects."""
        return [item["path"] for page in obstore.list(self._store(bucket)) for item in page]

    def _store(self, bucket: str) -> S3Store:
        return S3Store(
            bucket,
            endpoint=self._endpoint,
            region="us-east-1",
            access_key_id=_KEY,
            secret_access_key=_SECRET,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )


def _free_ports(count: int) -> list[int]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in sockets]

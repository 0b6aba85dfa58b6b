"""Builds while the daemon is being killed: at once, by both of its doors, exported, and with a cache elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from lamina.api.build import BuildOutput, BuildRequest, CacheOption
from lamina.client import Client, connect
from lamina.daemon.buildkit.messages.session import Stat
from lamina.errors import Unavailable
from support import buildkit
from support.daemons import Daemon
from support.ledger import Ledger

STAGES = """\
FROM base AS left
RUN echo {tag} > /left && cp -r /bin /left-files
FROM base AS right
RUN echo {tag} > /right && cp -r /etc /right-files
FROM base
COPY --from=left /left /left-files /l/
COPY --from=right /right /right-files /r/
COPY . /data
RUN rm -r /l && echo {tag} > /done
"""
FILES = 12  # of a context


class BuildWork:
    """Kinds of builds. Each notes what it was told is done, and looks at what was handed out."""

    _daemon: Daemon
    _ledger: Ledger
    _folder: Path
    _random: random.Random
    _registry: str
    _cgroup: str

    def build_two_at_once(self, client: Client, tag: str) -> None:
        """Build two images of several stages, each from a client of its own."""

        def build(name: str, context: Path) -> None:
            with connect(self._daemon.host) as own:
                self._ledger.made(name, own.builds.build(context, self._request(name)).image.id)

        contexts = {name: self._context(name) for name in (tag, f"{tag}-twin")}
        with ThreadPoolExecutor(2) as pool:
            for work in [pool.submit(build, name, context) for name, context in contexts.items()]:
                work.result()

    def build_by_buildkit(self, client: Client, tag: str) -> None:
        """Build through a session, as BuildKit's clients do."""
        contents = {f"file{number}": self._random.randbytes(20_000) for number in range(FILES)}
        listing = [Stat(name, 0o644, size=len(content)) for name, content in sorted(contents.items())]
        methods = buildkit.sharing(listing, contents, STAGES.format(tag=tag).encode())
        query = f"&t={tag}&networkmode=none&cgroupparent={self._cgroup}"
        lines = asyncio.run(buildkit.build(self._daemon.socket, methods, query))
        images = [line["aux"] for line in lines if line.get("id") == "moby.image.id"]
        if not images:
            raise Unavailable(f"the daemon went away: {buildkit.error_of(lines) if lines else 'without a word'}")
        assert isinstance(images[0], dict)
        self._ledger.made(tag, str(images[0]["ID"]))

    def export_archive(self, client: Client, tag: str) -> None:
        """Take the result as an OCI layout, in which every blob is what its name says."""
        archive = self._folder / f"{tag}.tar"
        self._export(client, tag, BuildOutput("oci", {"dest": str(archive)}))
        with tarfile.open(archive) as layout:
            members = {member.name: layout.extractfile(member) for member in layout if member.isreg()}
            blobs = {name: file.read() for name, file in members.items() if file and name.startswith("blobs/sha256/")}
            index = members["index.json"]
            assert index is not None
            manifests = json.loads(index.read())["manifests"]
        for name, content in blobs.items():
            assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]
        for entry in manifests:
            manifest = json.loads(blobs[f"blobs/{entry['digest'].replace(':', '/')}"])
            for blob in (manifest["config"], *manifest["layers"]):
                assert f"blobs/{blob['digest'].replace(':', '/')}" in blobs
        archive.unlink()

    def export_folder(self, client: Client, tag: str) -> None:
        """Take the files of the result into a folder."""
        target = self._folder / f"{tag}-out"
        self._export(client, tag, BuildOutput("local", {"dest": str(target)}))
        assert (target / "done").read_text() == f"{tag}\n"
        for file in (self._folder / tag).glob("file*"):
            assert (target / "data" / file.name).read_bytes() == file.read_bytes()

    def export_to_registry(self, client: Client, tag: str) -> None:
        """Push the result, of which the registry then has every blob."""
        name = f"{self._registry}/{tag}"
        context = self._context(tag)
        result = client.builds.build(context, self._request(name, output=BuildOutput("image", {"push": "true"})))
        self._ledger.made(name, result.image.id)
        manifest = json.loads(self._fetch(f"/v2/{tag}/manifests/{result.metadata['containerimage.digest']}"))
        assert manifest["config"]["digest"] == result.image.id
        for layer in manifest["layers"]:
            self._fetch(f"/v2/{tag}/blobs/{layer['digest']}", "HEAD")

    def cache_out_and_in(self, client: Client, tag: str) -> None:
        """Write a cache to the registry, forget the build, and build the same image again from that cache."""
        context = self._context(tag)
        place = {"ref": f"{self._registry}/cache-of-{tag}"}
        export = (CacheOption("registry", {**place, "mode": "max"}),)
        first = client.builds.build(context, self._request(f"{tag}-first", cache_exports=export)).image.id
        client.images.remove(f"{tag}-first", force=True)
        client.builds.prune(all=True)
        again = client.builds.build(
            context, self._request(tag, cache_imports=(CacheOption("registry", place),))
        ).image.id
        assert again == first
        self._ledger.made(tag, again)

    def _export(self, client: Client, tag: str, output: BuildOutput) -> None:
        client.builds.build(self._context(tag), self._request(tag, output=output))

    def _context(self, tag: str) -> Path:
        context = self._folder / tag
        context.mkdir()
        for number in range(FILES):
            (context / f"file{number}").write_bytes(self._random.randbytes(20_000))
        (context / "Dockerfile").write_text(STAGES.format(tag=tag))
        return context

    def _request(
        self,
        tag: str,
        *,
        output: BuildOutput | None = None,
        cache_exports: tuple[CacheOption, ...] = (),
        cache_imports: tuple[CacheOption, ...] = (),
    ) -> BuildRequest:
        return BuildRequest(
            tags=(tag,),
            network="none",
            cgroup_parent=self._cgroup,
            outputs=(output,) if output else (),
            cache_exports=cache_exports,
            cache_imports=cache_imports,
        )

    def _fetch(self, path: str, method: str = "GET") -> bytes:
        connection = HTTPConnection(self._registry, timeout=60)
        try:
            connection.request(method, path, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
            response = connection.getresponse()
            assert response.status == 200, f"{method} {path}: {response.status}"
            return response.read()
        finally:
            connection.close()

"""The frontend `dockerfile.v0`: its attributes as a build request, and its context from the client's session.

Rule: moby/buildkit, frontend/dockerui. The client sends the Dockerfile's folder and the context apart, each filtered:
the ignore file is asked for first, and its patterns then go to the client.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lamina.api.build import BuildRequest, CacheOption
from lamina.api.build_calls import LANGUAGE
from lamina.api.containers import Ulimit
from lamina.api.query import parse_json, parse_number
from lamina.builder.arguments import HOST_NAME
from lamina.builder.context.directory import IgnoringTree
from lamina.builder.context.saved_files import SavedContexts
from lamina.builder.context.source import DEFAULT_NAME, IGNORE_NAME, BuildContext, ContextPart, read_dockerfile
from lamina.builder.file_sums import Sums
from lamina.builder.ops.outside import ForeignFiles
from lamina.builder.source_policy import ALLOW_ALL, SourcePolicy
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.daemon.buildkit.filesync import Selection, StreamReader, receive_files
from lamina.daemon.buildkit.graph import definition_of_folder
from lamina.daemon.buildkit.messages.session import (
    CredentialsRequest,
    CredentialsResponse,
    SecretRequest,
    SecretResponse,
)
from lamina.daemon.buildkit.messages.source import SourceInfo
from lamina.daemon.buildkit.sessions import Session, Sessions
from lamina.daemon.buildkit.vertices import Definition, Step, Vertices
from lamina.dockerfile.ignore import IgnoreMatcher, Pattern, parse_ignore, parse_patterns
from lamina.dockerfile.syntax import MAX_SIZE, decode
from lamina.engine.builds import Builds
from lamina.errors import InvalidInput, NotFound
from lamina.formats.reference import DEFAULT_DOMAIN, Reference
from lamina.layers.tree import Tree, find, read_all
from lamina.progress import Report, ignore

NAME = "dockerfile.v0"
_GET_CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
_PULL = "/moby.upload.v1.Upload/Pull"
_UPLOADED = "http://buildkit-session/"
_GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
_HUB_HOST = "registry-1.docker.io"  # under which BuildKit's clients look up Docker Hub


def request_of(attributes: Mapping[str, str], tags: tuple[str, ...] = ()) -> BuildRequest:
    """Return what a frontend's attributes ask for. Raise InvalidInput."""
    return BuildRequest(
        tags=tags,
        dockerfile=attributes.get("filename", ""),
        target=attributes.get("target", ""),
        build_args={**_host_name(attributes), **dict(_below(attributes, "build-arg:"))},
        labels=dict(_below(attributes, "label:")),
        no_cache=attributes.get("no-cache") == "",
        no_cache_stages=tuple(name for name in attributes.get("no-cache", "").split(",") if name),
        pull=attributes.get("image-resolve-mode") == "pull",
        platform=attributes.get("platform", ""),
        cache_from=tuple(name for name in attributes.get("cache-from", "").split(",") if name),
        cache_imports=parse_json("cache-imports", attributes.get("cache-imports", ""), tuple[CacheOption, ...], ()),
        network=attributes.get("force-network-mode") or "default",
        extra_hosts=tuple(pair.replace("=", ":", 1) for pair in _fields(attributes.get("add-hosts", ""))),
        shm_size=parse_number("shm-size", attributes.get("shm-size", "")) or 0,
        ulimits=tuple(_ulimit(text) for text in _fields(attributes.get("ulimit", ""))),
        cgroup_parent=attributes.get("cgroup-parent", ""),
    )


def _host_name(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the host name of RUN steps as the build argument that stands for it."""
    return {HOST_NAME: attributes["hostname"]} if attributes.get("hostname") else {}


def _below(attributes: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    return ((name.removeprefix(prefix), value) for name, value in attributes.items() if name.startswith(prefix))


def _fields(text: str) -> list[str]:
    return next(csv.reader([text]), []) if text else []


def _ulimit(text: str) -> Ulimit:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        return Ulimit(name, int(hard or soft), int(soft))
    except ValueError:
        raise InvalidInput(f"invalid ulimit argument: {text}") from None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a build's files are: behind an `address`, or in folders that the client offers by these names.

    `given` are files that take the place of such a folder. `sessions` has the IDs of other sessions for some folders.
    Of the files behind an address only those in `subfolder` count. With `own_dockerfile` the Dockerfile is the
    client's, not the one behind the address.
    """

    address: str = ""
    dockerfile: str = ""
    context_folder: str = "context"
    dockerfile_folder: str = "dockerfile"
    given: Mapping[str, Callable[[], Tree]] = field(default_factory=dict)
    sessions: Mapping[str, str] = field(default_factory=dict)
    subfolder: str = ""
    own_dockerfile: bool = False

    @classmethod
    def of(cls, attributes: Mapping[str, str], given: Mapping[str, Callable[[], Tree]] | None = None) -> Source:
        """Return what a frontend's attributes name."""
        return cls(
            attributes.get("context", ""),
            attributes.get("filename", ""),
            attributes.get("contextkey", "context"),
            attributes.get("dockerfilekey", "dockerfile"),
            given or {},
            dict(_below(attributes, "local-sessionid:")),
            attributes.get("contextsubdir", ""),
            "dockerfilekey" in attributes,
        )


@dataclass(frozen=True, slots=True)
class Client:
    """What one build asks its client for. `opened` is the session that the client opened for it, if any.

    `policy` says what the build may fetch.
    """

    opened: Session | None
    temporary: Path
    vertices: Vertices
    cancellation: Cancellation
    sessions: Sessions | None = None  # of all clients, where this one may name others
    policy: SourcePolicy = ALLOW_ALL

    def session_of(self, id: str) -> Session:
        """Return the session of an ID, the client's own for "". Raise NotFound."""
        sessions = self.sessions
        if id in ("", self.session.id) or sessions is None:
            return self.session
        return self.session.wait(lambda: sessions.get(id), self.cancellation)

    @property
    def session(self) -> Session:
        """Return the session. Raise NotFound for a client that opened none."""
        if self.opened is None:
            raise NotFound("no active sessions", advice="Open a session, or send the context in the request's body.")
        return self.opened

    def offers(self, path: str) -> bool:
        """Return whether the client answers calls of this path. One without a session answers none."""
        return self.opened is not None and self.opened.offers(path)

    def context(self, source: Source, builds: Builds) -> BuildContext:
        """Return the context with its Dockerfile. The caller closes it.

        Raise NotFound without a Dockerfile, InvalidInput, and what `receive_files` raises.
        """
        if source.address and not source.own_dockerfile:
            return self._remote(source, builds)
        definition = self.definition(source, builds)
        if source.address:
            return self._remote(source, builds, definition)
        excluded = tuple(map(str, definition.ignored.patterns)) if definition.ignored else ()
        with self.vertices.step("[internal] load build context") as step:
            selection = Selection(source.context_folder, exclude=excluded)
            try:
                files = self._files(source, selection, builds.saved_contexts, partial(self.vertices.hear, step))
            except NotFound:  # the client offers no context, and the Dockerfile may need none
                return definition
        return replace(definition, tree=files.tree, sums=files.sums, close=files.close)

    def _files(
        self, source: Source, selection: Selection, saved: SavedContexts | None = None, report: Report = ignore
    ) -> ForeignFiles:
        """Return the files of a folder: those that are given, or those that the client sends."""
        given = source.given.get(selection.folder)
        if given is None:
            session = self.session_of(source.sessions.get(selection.folder, ""))
            received = receive_files(session, selection, self.temporary, self.cancellation, saved, report)
            return ForeignFiles(received, Sums(received.sums), received.close)
        tree = given()
        if selection.exclude:
            tree = IgnoringTree(tree, IgnoreMatcher(parse_patterns(selection.exclude)))
        return ForeignFiles(tree, Sums(of_image=True), ignore)

    def definition(self, source: Source, builds: Builds) -> BuildContext:
        """Return the Dockerfile, and what is left out of its context, without files where they are the client's.

        The caller closes it. Raise as `context` does.
        """
        if source.address and not source.own_dockerfile:
            return self._remote(source, builds)
        name, raw, patterns = self._dockerfile(source)
        if patterns is None and not source.address:
            patterns = self._ignored(source)
        matcher = IgnoreMatcher(patterns) if patterns else None
        return BuildContext(_text(raw, name), name=name, ignored=matcher)

    def _remote(self, source: Source, builds: Builds, own: BuildContext | None = None) -> BuildContext:
        """Return the context behind an address, with the Dockerfile of `own` where the client has one of its own."""
        text = None if own is None else own.dockerfile.encode("utf-8", "surrogateescape")
        part = ContextPart(source.dockerfile, text, source.subfolder)
        is_uploaded = source.address.startswith(_UPLOADED)
        kind = "uploaded" if is_uploaded else "remote"
        with self.vertices.step(f"[internal] load {kind} build context") as step:
            if is_uploaded:
                context = self._uploaded(source, builds, part)
            else:
                address, _ = self.policy.address(source.address)
                context = builds.remote_context(address, part, cancellation=self.cancellation)
            if own is None:
                raw = context.dockerfile.encode("utf-8", "surrogateescape")
                self._note(step, SourceInfo(context.name, raw, language=LANGUAGE))
        return context if own is None else replace(context, name=own.name)

    def _note(self, step: Step, file: SourceInfo) -> None:
        """Note the Dockerfile, so that warnings and errors can show its lines."""
        self.vertices.definition = Definition(step.digest, file)

    def _uploaded(self, source: Source, builds: Builds, part: ContextPart) -> BuildContext:
        """Return the context that the client has as a stream. Rule: moby/buildkit, session/upload."""
        host, _, path = source.address.removeprefix("http://").partition("/")
        with self.upload(host, f"/{path}") as stream:
            return builds.stream_context(stream, part, cancellation=self.cancellation)

    @contextmanager
    def upload(self, host: str, path: str) -> Iterator[StreamReader]:
        """Provide the bytes that the client sends for an address of its session."""
        metadata = [("urlhost", host), ("urlpath", path)]
        with self.session.call(_PULL, self.cancellation, metadata) as call:
            yield StreamReader(call)

    def _dockerfile(self, source: Source) -> tuple[str, bytes, tuple[Pattern, ...] | None]:
        """Return name and bytes of the Dockerfile, and the patterns of the ignore file that is only its own."""
        name = source.dockerfile
        file_name = name or DEFAULT_NAME
        names = [file_name, f"{file_name}{IGNORE_NAME}"] + ([DEFAULT_NAME.lower()] if file_name == DEFAULT_NAME else [])
        with self.vertices.step(f"[internal] load build definition from {file_name}") as step:
            files = self._files(source, Selection(source.dockerfile_folder, follow=tuple(names)))
            try:
                path, raw = self._find(files.tree, name, file_name)
                graph = definition_of_folder(source.dockerfile_folder, names)
                self._note(step, SourceInfo(path, raw, graph.encode(), LANGUAGE))
                return path, raw, ignore_patterns(files.tree, f"{path}{IGNORE_NAME}")
            finally:
                files.close()

    def _find(self, tree: Tree, name: str, file_name: str) -> tuple[str, bytes]:
        try:
            return read_dockerfile(tree, name)
        except NotFound:
            # Rule: moby/buildkit, frontend/dockerui: clients look for these words.
            raise NotFound(f"failed to read dockerfile: open {file_name}: no such file or directory") from None

    def _ignored(self, source: Source) -> tuple[Pattern, ...]:
        with self.vertices.step(f"[internal] load {IGNORE_NAME}"):
            try:
                files = self._files(source, Selection(source.context_folder, follow=(IGNORE_NAME,)))
            except NotFound:  # without a context nothing of it is ignored
                return ()
            try:
                return ignore_patterns(files.tree, IGNORE_NAME) or ()
            finally:
                files.close()

    def credentials(self, reference: Reference) -> Credentials | None:
        """Return who the user is at the reference's registry, None for nobody."""
        if not self.offers(_GET_CREDENTIALS):
            return None
        host = _HUB_HOST if reference.domain == DEFAULT_DOMAIN else reference.domain
        answer = self.session.ask(_GET_CREDENTIALS, CredentialsRequest(host), CredentialsResponse, self.cancellation)
        if not answer.secret:
            return None
        if not answer.username:
            return Credentials(identity_token=answer.secret)
        return Credentials(answer.username, answer.secret)

    def secret(self, id: str) -> bytes | None:
        """Return a secret of the user, None where there is none of this ID."""
        if not self.offers(_GET_SECRET):
            return None
        try:
            return self.session.ask(_GET_SECRET, SecretRequest(id), SecretResponse, self.cancellation).data
        except NotFound:
            return None


class Secrets(Mapping[str, bytes]):
    """The secrets of a client, each requested when a step needs it. There is no list of them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, bytes | None] = {}

    def __getitem__(self, id: str) -> bytes:
        if id not in self._known:
            self._known[id] = self._client.secret(id)
        secret = self._known[id]
        if secret is None:
            raise KeyError(id)
        return secret

    def __iter__(self) -> Iterator[str]:
        return (id for id, secret in self._known.items() if secret is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def ignore_patterns(tree: Tree, name: str) -> tuple[Pattern, ...] | None:
    """Return the patterns of an ignore file, None where it is not there."""
    node = find(tree, name)
    if node is None or node.is_directory:
        return None
    return parse_ignore(decode(read_all(tree, node, MAX_SIZE)))


def _text(raw: bytes, name: str) -> str:
    if not raw:
        raise InvalidInput(f"the Dockerfile ({name}) cannot be empty", advice="Begin it with FROM.")
    return decode(raw)

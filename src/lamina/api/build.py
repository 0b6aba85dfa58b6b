"""What `POST /build` is asked for: one value for the command line, the client and the daemon, and its query."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lamina.api.containers import Resources, Ulimit
from lamina.api.query import Query, parse_flag, parse_json, parse_number, write_json
from lamina.errors import InvalidInput
from lamina.formats.lists import check_lists
from lamina.formats.runconfig import Int64

HOST_NETWORK = "network.host"  # BuildKit's entitlement for the host's network
INSECURE = "security.insecure"  # for the rights of a privileged container
DEVICE = "device"  # for CDI devices; `device=NAME` for one
STDOUT = "-"  # as the `dest` of an output
_ADDRESSES = ("http://", "https://", "git://", "git@", "ssh://", "github.com/", "docker-image:", "oci-layout:")
_NAMED = ("moby", "image", "registry", "docker", "oci")
FILE_OUTPUTS = ("local", "tar", "docker", "oci")


class BuildOutput(msgspec.Struct, frozen=True, rename="pascal"):
    """One thing to do with a build's result: the type of an exporter, and its attributes.

    Types are image, registry, docker, oci, local, tar and cacheonly.
    """

    type: str
    attrs: dict[str, str] = {}

    @property
    def is_layout_folder(self) -> bool:
        """Return whether the output is an OCI layout in a folder, and not in a tar."""
        return self.type in ("docker", "oci") and self.attrs.get("tar", "").lower() in ("0", "f", "false")


class CacheOption(msgspec.Struct, frozen=True, rename="pascal"):
    """A place for the cache of builds: a type, and its attributes.

    The type registry has `ref`. The type local has `dest` to write and `src` to read, a folder on the side of the
    caller. `mode=max` writes the steps of all stages.
    """

    type: str
    attrs: dict[str, str] = {}


# Attributes whose parameter has another name. All others are called alike, without the underscores.
_NAMES = {
    "tags": "t",
    "remove": "rm",
    "force_remove": "forcerm",
    "quiet": "q",
    "network": "networkmode",
    "memory_swap": "memswap",
    "cpuset_cpus": "cpusetcpus",
    "cpuset_mems": "cpusetmems",
    "security_options": "securityopt",
}
_JSON: dict[str, Any] = {
    "build_args": dict[str, str | None],
    "labels": dict[str, str],
    "cache_from": tuple[str, ...],
    "cache_imports": tuple[CacheOption, ...],
    "cache_exports": tuple[CacheOption, ...],
    "ulimits": tuple[Ulimit, ...],
    "outputs": tuple[BuildOutput, ...],
    "attestations": dict[str, str],
    "contexts": dict[str, str],
    "agents": dict[str, str],
}
_REPEATED = frozenset({"tags", "security_options", "no_cache_stages"})
_COMMAS = frozenset({"extra_hosts", "allow"})  # clients repeat it, or join the hosts by commas


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of a build, as `docker build` names them.

    `call` asks for something else than an image: check, outline or targets. With `keep_failed` the files that a failed
    RUN leaves become an image without a name, which the error names.

    `squash` makes fewer layers of an image's: `all` makes one, `from=base` (or True) one of those above the base, and
    `every=N` one of each N above the base.

    `build_args` maps a name to None when it was given without a value. `remote` is the address of a context that the
    daemon fetches. `no_cache_stages` names the stages that run anew although others may be cached. `platform` may
    name several, with commas between them. Without `outputs` the image is kept here
    under its tags. `cache_from` names images, `cache_imports` the caches that engines wrote to `cache_exports`.
    `attestations` has the attributes of `provenance` and `sbom`. With `explain` the build tells of each
    step why it had to run; with `live` it tells of the steps of all stages as they happen, as values
    (`docs/build-api.md`); with `verify` it is done twice without the cache, and fails where the two differ.
    `allow` names what a Dockerfile may take beside what is usual: `network.host` for `RUN --network=host`. `contexts`
    maps names in FROM and --from to what they mean: `docker-image://NAME`, the address of a repository or a tar, or the
    path of a folder. `agents` maps the IDs of RUN --mount=type=ssh to the sockets of ssh agents. Memory and `shm_size`
    are in bytes, CPU period and quota in microseconds; 0 means not set.
    """

    tags: tuple[str, ...] = ()
    dockerfile: str = ""
    remote: str = ""
    target: str = ""
    build_args: dict[str, str | None] = {}
    labels: dict[str, str] = {}
    no_cache: bool = False
    no_cache_stages: tuple[str, ...] = ()
    pull: bool = False
    squash: str | bool = ""
    remove: bool = True
    force_remove: bool = False
    quiet: bool = False
    platform: str = ""
    cache_from: tuple[str, ...] = ()
    cache_imports: tuple[CacheOption, ...] = ()
    cache_exports: tuple[CacheOption, ...] = ()
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    memory: Int64 = 0
    memory_swap: Int64 = 0
    cpu_shares: Int64 = 0
    cpu_period: Int64 = 0
    cpu_quota: Int64 = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    shm_size: Int64 = 0
    ulimits: tuple[Ulimit, ...] = ()
    security_options: tuple[str, ...] = ()
    isolation: str = ""
    version: str = ""
    outputs: tuple[BuildOutput, ...] = ()
    attestations: dict[str, str] = {}
    explain: bool = False
    live: bool = False
    verify: bool = False
    call: str = ""
    keep_failed: bool = False
    allow: tuple[str, ...] = ()
    contexts: dict[str, str] = {}
    agents: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_lists(self)

    @property
    def needs(self) -> frozenset[str]:
        """Return what the request itself asks for, and lets its Dockerfile take, by BuildKit's names."""
        return frozenset(self.allow) | (frozenset({HOST_NETWORK}) if self.network == "host" else frozenset())

    @property
    def limits(self) -> Resources:
        """Return what each RUN step is limited to, as for containers."""
        names = [name for name in Resources.__struct_fields__ if name in self.__struct_fields__]
        return Resources(**{name: getattr(self, name) for name in names})

    def to_query(self) -> dict[str, str | list[str]]:
        """Return the parameters that say something else than their default."""
        query: dict[str, str | list[str]] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value != getattr(_DEFAULTS, name):
                query[_parameter(name)] = _write(name, value)
        return query

    @classmethod
    def from_query(cls, query: Query) -> BuildRequest:
        """Return the request in `query`; parameters of other names are ignored.

        Raise InvalidInput for a value that cannot be understood.
        """
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            values_sent = query.get(_parameter(field.name), ())
            if any(values_sent):
                values[field.name] = _read(field, values_sent)
        return cls(**values)


_DEFAULTS = BuildRequest()


def _parameter(attribute: str) -> str:
    return _NAMES.get(attribute) or attribute.replace("_", "")


def _write(attribute: str, value: Any) -> str | list[str]:
    if attribute in _JSON:
        return write_json(value)
    if attribute in _REPEATED:
        return list(value)
    if attribute in _COMMAS:
        return ",".join(value)
    return str(int(value)) if isinstance(value, bool | int) else str(value)


def _read(field: msgspec.structs.FieldInfo, sent: Any) -> Any:
    if field.name in _JSON:
        return parse_json(_parameter(field.name), sent[0], _JSON[field.name], getattr(_DEFAULTS, field.name))
    if field.name in _REPEATED:
        return tuple(text for text in sent if text)
    if field.name in _COMMAS:
        return tuple(text for texts in sent for text in texts.split(",") if text)
    if field.type is bool:
        return parse_flag(sent[0])
    return sent[0] if field.type in (str, str | bool) else parse_number(_parameter(field.name), sent[0])


def outputs_of(request: BuildRequest) -> tuple[BuildOutput, ...]:
    """Return the outputs of a request. Without any the image is kept under its tags; outputs of images get the tags.

    A `docker` output without `dest` is the store here. Raise InvalidInput when one lacks its `dest`.
    """
    tags = ",".join(request.tags)
    outputs = []
    for output in request.outputs or (BuildOutput("image"),):
        kind = "image" if output.type == "docker" and not output.attrs.get("dest") else output.type
        if kind in FILE_OUTPUTS and not output.attrs.get("dest"):
            raise InvalidInput(f"output type={kind} needs a dest", advice=f"Write type={kind},dest=PATH.")
        named = {"name": tags} if kind in _NAMED and tags else {}
        outputs.append(BuildOutput(kind, named | output.attrs))
    return tuple(outputs)


def is_address(context: str) -> bool:
    """Return whether a context is an address, and not the path of a folder."""
    return context.startswith(_ADDRESSES)


def with_absolute_folders(contexts: Mapping[str, str]) -> dict[str, str]:
    """Return named contexts with the paths of folders made absolute."""
    return {name: text if is_address(text) else os.path.realpath(text) for name, text in contexts.items()}


def without_destinations(outputs: Sequence[BuildOutput]) -> tuple[BuildOutput, ...]:
    """Return outputs as they go to a daemon: where files end up is not its business."""
    hidden = {"dest": STDOUT}
    return tuple(BuildOutput(o.type, o.attrs | (hidden if "dest" in o.attrs else {})) for o in outputs)

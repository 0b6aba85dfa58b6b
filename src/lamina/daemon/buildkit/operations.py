"""The operations of a client's graph as values of the builder: numbers checked, defaults put in.

Rule: moby/buildkit, solver/llbsolver/ops/opsutils/validate.go, for what is refused.
"""

from __future__ import annotations

import posixpath
from typing import Any

from lamina.api.containers import Ulimit
from lamina.builder.copy.ownership import MAX_ID
from lamina.builder.graph import operations as graph
from lamina.daemon.buildkit.messages import ops
from lamina.errors import InvalidInput, TooLarge, Unsupported

_KINDS = ("bind", "secret", "ssh", "cache", "tmpfs")
_SHARING = ("shared", "private", "locked")
_NETWORKS = ("default", "host", "none")
_NONE = -1
_MOST_MOUNTS = 1_000  # of one command
_PROXIES = (("http", "HTTP"), ("https", "HTTPS"), ("ftp", "FTP"), ("none", "NO"), ("all", "ALL"))


def copied(number: int, limit: int, what: str) -> int | None:
    """Return a number of the graph that counts from 0; None for -1. Raise InvalidInput from `limit` on."""
    if number == _NONE:
        return None
    if not 0 <= number < limit:
        raise InvalidInput(f"the graph names the {what} {number}, which is not there")
    return number


def _choice(number: int, choices: tuple[str, ...], what: str) -> str:
    if not 0 <= number < len(choices):
        raise InvalidInput(f"the graph has a {what} of the unknown kind {number}")
    return choices[number]


def exec_of(op: ops.ExecOp, inputs: int) -> graph.Exec:
    """Return a command. Raise InvalidInput, TooLarge, Unsupported."""
    meta = op.meta
    if meta is None or not meta.args:
        raise InvalidInput("a command of the graph has no arguments")
    if not meta.cwd.startswith("/"):
        raise InvalidInput(f"a command of the graph has the working directory {meta.cwd[:80]!r}, which is not absolute")
    if len(op.mounts) > _MOST_MOUNTS:
        raise TooLarge(f"a command of the graph has more than {_MOST_MOUNTS} mounts", limit=_MOST_MOUNTS)
    targets = [mount.target for mount in op.mounts]
    roots = [
        target for target in targets if target and not posixpath.normpath(posixpath.join(meta.cwd, target)).strip("/")
    ]
    if roots != ["/"]:
        raise InvalidInput("a command of the graph has no root, or several")
    if any(not device.optional for device in op.devices):
        raise Unsupported("devices of commands are not supported by this daemon")
    return graph.Exec(
        arguments=meta.args,
        environment=meta.env,
        directory=meta.cwd,
        user=meta.user,
        proxies=_proxies(meta.proxies),
        hosts=tuple((host.host, host.ip) for host in meta.hosts),
        hostname=meta.hostname,
        ulimits=tuple(Ulimit(limit.name, limit.hard, limit.soft) for limit in meta.ulimits),
        cgroup_parent=meta.cgroup_parent,
        exit_codes=meta.exit_codes or (0,),
        mounts=tuple(_mount(mount, inputs) for mount in op.mounts),
        network=_choice(op.network, _NETWORKS, "network"),
        insecure=_choice(op.security, ("sandbox", "insecure"), "security mode") == "insecure",
        secrets=tuple(
            graph.SecretVariable(id=secret.id, name=secret.name, optional=secret.optional) for secret in op.secrets
        ),
    )


def _proxies(proxies: ops.ProxyEnv | None) -> tuple[str, ...]:
    """Return the environment variables, each in capitals and not, as BuildKit's executor sets them."""
    if proxies is None:
        return ()
    values = [(f"{name}_PROXY", getattr(proxies, field)) for field, name in _PROXIES]
    return tuple(f"{form}={value}" for name, value in values if value for form in (name, name.lower()))


def _mount(mount: ops.Mount, inputs: int) -> graph.Mount:
    kind = _choice(mount.type, _KINDS, "mount")
    held = kind in ("bind", "cache")
    if "\0" in mount.target or not mount.target:
        raise InvalidInput("a mount of the graph has no target")
    options: dict[str, Any] = {}
    if kind == "tmpfs" and mount.tmpfs is not None:
        options["size"] = mount.tmpfs.size
    if kind == "cache":
        cache = mount.cache or ops.CacheOpt()
        options |= {"id": cache.id, "sharing": _choice(cache.sharing, _SHARING, "cache")}
    if kind in ("secret", "ssh"):
        secret = (mount.secret if kind == "secret" else mount.agent) or ops.SecretOpt()
        options |= {"id": secret.id, "uid": _id(secret.uid), "gid": _id(secret.gid)}
        options |= {"mode": secret.mode & 0o777, "optional": secret.optional}
    return graph.Mount(
        target=mount.target,
        kind=kind,
        input=copied(mount.input, inputs, "input") if held else None,
        selector=mount.selector,
        output=copied(mount.output, 1 << 16, "output") if kind == "bind" else None,
        read_only=mount.read_only,
        **options,
    )


def file_action_of(action: ops.FileAction, places: int) -> graph.Action:
    """Return an action. `places` are the inputs and earlier actions that it may name. Raise InvalidInput."""
    base = copied(action.input, places, "input")
    common: dict[str, Any] = {"base": base, "output": copied(action.output, 1 << 16, "output")}
    if action.copy is not None:
        source = copied(action.second_input, places, "input")
        return _copy(action.copy, source, {**common, **_owner(action.copy.owner, action.copy.timestamp, places)})
    if (file := action.make_file) is not None:
        common |= _owner(file.owner, file.timestamp, places)
        return graph.MakeFile(path=file.path, mode=file.mode & 0o777, content=file.data, **common)
    if (directory := action.make_directory) is not None:
        common |= _owner(directory.owner, directory.timestamp, places)
        mode = directory.mode & 0o777
        return graph.MakeDirectory(path=directory.path, mode=mode, parents=directory.parents, **common)
    if (link := action.link) is not None:
        common |= _owner(link.owner, link.timestamp, places)
        return graph.MakeLink(path=link.path, target=link.target, **common)
    if (remove := action.remove) is not None:
        choices = {"wildcard": remove.wildcard, "may_be_missing": remove.may_be_missing}
        return graph.Remove(path=remove.path, **choices, **common)
    raise InvalidInput("a file operation of the graph has an action of an unknown kind")


def _copy(copy: ops.CopyAction, source: int | None, common: dict[str, Any]) -> graph.Copy:
    mode = copy.mode_text or ("" if copy.mode == _NONE else f"{copy.mode & 0o7777:o}")
    return graph.Copy(
        source=source,
        path=copy.source,
        destination=copy.destination,
        mode=mode,
        follow=copy.follow,
        contents=copy.contents,
        unpack=copy.unpack,
        make_destination=copy.make_destination,
        wildcard=copy.wildcard,
        may_match_nothing=copy.may_match_nothing,
        include=copy.include,
        exclude=copy.exclude,
        required=copy.required,
        replace=copy.replace,
        **common,
    )


def _owner(owner: ops.ChownOpt | None, timestamp: int, places: int) -> dict[str, Any]:
    """Return the owner and the time of an action."""
    time: dict[str, Any] = {"time_ns": None if timestamp == _NONE else timestamp}
    if owner is None:
        return time
    return {**time, "user": _who(owner.user, places), "group": _who(owner.group, places)}


def _who(user: ops.UserOpt | None, places: int) -> int | graph.NamedOwner | None:
    if user is None:
        return None
    if user.by_name is not None:
        return graph.NamedOwner(name=user.by_name.name, place=copied(user.by_name.input, places, "input"))
    return _id(user.by_id or 0)


def _id(number: int) -> int:
    """Return the number of a user or group. Raise InvalidInput for one that nobody can have."""
    if not 0 <= number <= MAX_ID:
        raise InvalidInput(f"the graph names the user or group {number}", advice=f"Ids lie between 0 and {MAX_ID}.")
    return number

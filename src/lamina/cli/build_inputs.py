"""The flags of `build` that give it more than its context: --secret, --ssh and --build-context.

Rule: docker/buildx, build/secrets.go, util/buildflags.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from lamina.errors import InvalidInput, NotFound


def read_secrets(texts: Sequence[str]) -> dict[str, bytes]:
    """Return the secrets by ID. One without `src` and `env` is the variable of its ID, or else the file of that name.

    Raise InvalidInput for a flag that cannot be understood, NotFound for a file or a variable that is not there.
    """
    return dict(_secret(text) for text in texts)


def _secret(text: str) -> tuple[str, bytes]:
    fields = _fields(text)
    id, kind = fields.pop("id", ""), fields.pop("type", "")
    file = fields.pop("source", "") or fields.pop("src", "")
    variable = fields.pop("env", "")
    if fields:
        raise InvalidInput(f"unexpected key {next(iter(fields))!r} in --secret {text!r}", advice=_SECRET_ADVICE)
    if kind not in ("", "file", "env"):
        raise InvalidInput(f"unsupported secret type {kind!r}", advice=_SECRET_ADVICE)
    if kind == "env" and not variable:
        file, variable = "", file
    if not id:
        raise InvalidInput(f"--secret {text!r} has no id", advice=_SECRET_ADVICE)
    if not file and not variable:
        if id in os.environ and kind != "file":
            variable = id
        else:
            file = id
    if variable:
        if variable not in os.environ:
            raise NotFound(f"the secret {id} is to be the variable {variable}, which is not set")
        return id, os.environb[os.fsencode(variable)]
    try:
        with open(os.path.expanduser(file), "rb") as secret:
            return id, secret.read()
    except OSError as error:
        raise NotFound(f"cannot read the secret {id} from {file} ({error.strerror})") from error


def ssh_agents(texts: Sequence[str]) -> dict[str, str]:
    """Return the sockets of agents by ID. An ID alone is the user's own agent, that of SSH_AUTH_SOCK.

    Raise InvalidInput for a key in place of an agent, NotFound where there is no agent.
    """
    agents = {}
    for text in texts:
        id, equals, path = text.partition("=")
        path = path if equals else os.environ.get("SSH_AUTH_SOCK", "")
        if not path:
            raise NotFound(f"there is no ssh agent for --ssh {text}", advice="Start one with `eval $(ssh-agent)`.")
        if os.path.isfile(path) or "," in path:
            raise InvalidInput(f"--ssh {text} names a key", advice=f"Add it to an agent: ssh-add {path}.")
        agents[id or "default"] = os.path.realpath(path)
    return agents


def named_contexts(texts: Sequence[str]) -> dict[str, str]:
    """Return what names stand for. Raise InvalidInput for a flag without both."""
    contexts = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InvalidInput(f"invalid --build-context {text!r}", advice="Write NAME=FOLDER or NAME=ADDRESS.")
        contexts[name] = value
    return contexts


_SECRET_ADVICE = "Write id=ID,src=FILE or id=ID,env=NAME."


def _fields(text: str) -> dict[str, str]:
    import csv  # a millisecond that only builds with secrets have to spend

    fields = {}
    for field in next(csv.reader([text]), []):
        name, equals, value = field.partition("=")
        if not equals:
            raise InvalidInput(f"invalid value {field!r} in --secret {text!r}", advice=_SECRET_ADVICE)
        fields[name.strip().lower()] = value
    return fields

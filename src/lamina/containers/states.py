"""The states of a container, and which verb is refused in which of them, in dockerd's words.

A container is *created*. A start makes it *running*, a pause *paused*. When its process ends it is *exited*, or
*restarting* until its restart policy starts it again. One that is being taken away is *removing*; *dead* is what
dockerd calls one whose removal failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lamina.errors import Conflict, LaminaError, NotModified

Verb = Literal["start", "pause", "unpause", "kill", "update", "remove", "attach", "exec", "use"]
Refusal = tuple[type[LaminaError], str]

STATUSES = ("created", "running", "paused", "restarting", "exited", "removing", "dead")
RUNNING = ("running", "paused", "restarting")  # as Docker counts

_GONE = ("removing", "dead")
_WITHOUT_PROCESS = ("created", "exited", *_GONE)
_NO_PROCESS: Refusal = (Conflict, "container {id} is not running")
_BETWEEN: Refusal = (Conflict, "Container {id} is restarting, wait until the container is running")
_NEEDS_PROCESS: Mapping[str, Refusal] = {**dict.fromkeys(_WITHOUT_PROCESS, _NO_PROCESS), "restarting": _BETWEEN}
_STOP_FIRST = (
    'cannot remove container "/{name}": container is {status}: stop the container before removing or force remove'
)
_UNPAUSE_FIRST = (
    'cannot remove container "/{name}": container is paused: '
    "unpause and then stop the container before removal or force remove"
)

REFUSALS: Mapping[Verb, Mapping[str, Refusal]] = {
    "start": {
        "running": (NotModified, "container {name} is already running"),
        "paused": (Conflict, "cannot start a paused container, try unpause instead"),
        **dict.fromkeys(_GONE, (Conflict, "container is marked for removal and cannot be started")),
    },
    "pause": {**_NEEDS_PROCESS, "paused": (Conflict, "Container {id} is already paused")},
    "unpause": {status: (Conflict, "Container {id} is not paused") for status in STATUSES if status != "paused"},
    "kill": dict.fromkeys(_WITHOUT_PROCESS, (Conflict, "cannot kill container: {id}: container {id} is not running")),
    "update": dict.fromkeys(_GONE, (Conflict, "container is marked for removal and cannot be updated")),
    "remove": {
        "running": (Conflict, _STOP_FIRST),
        "restarting": (Conflict, _STOP_FIRST),
        "paused": (Conflict, _UNPAUSE_FIRST),
    },
    "attach": {
        "paused": (Conflict, "container {name} is paused, unpause the container before attach"),
        "restarting": (Conflict, "container {name} is restarting, wait until the container is running"),
    },
    "exec": {
        **_NEEDS_PROCESS,
        "paused": (Conflict, "container {name} is paused, unpause the container before exec"),
    },
    "use": _NEEDS_PROCESS,  # what asks the process for something: resize, top, stats
}


def check(verb: Verb, status: str, *, id: str, name: str) -> None:
    """Raise Conflict or NotModified where a container in this state refuses `verb`."""
    refusal = REFUSALS[verb].get(status)
    if refusal is not None:
        kind, text = refusal
        raise kind(text.format(id=id, name=name, status=status), container=id)

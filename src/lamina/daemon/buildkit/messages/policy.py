"""Rules about sources, as BuildKit's clients send them.

Field numbers: moby/buildkit, `sourcepolicy/pb/policy.proto`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from lamina.daemon.buildkit.protobuf import Message

_map: Any = msgspec.field(default_factory=dict)


class Update(Message, frozen=True):
    """What a source becomes."""

    identifier: Annotated[str, 1] = ""
    attributes: Annotated[dict[str, str], 2] = _map


class Constraint(Message, frozen=True):
    """What an attribute of a source must be."""

    key: Annotated[str, 1] = ""
    value: Annotated[str, 2] = ""
    condition: Annotated[int, 3] = 0


class Selector(Message, frozen=True):
    """Which sources a rule is about."""

    identifier: Annotated[str, 1] = ""
    match: Annotated[int, 2] = 0
    constraints: Annotated[tuple[Constraint, ...], 3] = ()


class PolicyRule(Message, frozen=True):
    """One rule."""

    action: Annotated[int, 1] = 0
    selector: Annotated[Selector | None, 2] = None
    updates: Annotated[Update | None, 3] = None


class Policy(Message, frozen=True):
    """The rules of one policy."""

    version: Annotated[int, 1] = 0
    rules: Annotated[tuple[PolicyRule, ...], 2] = ()

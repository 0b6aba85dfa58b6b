"""The source policies of BuildKit's clients, as values."""

from __future__ import annotations

from collections.abc import Iterable

from lamina.builder.source_policy import Action, Condition, Match, Rule, SourcePolicy
from lamina.daemon.buildkit.messages.policy import Policy, PolicyRule
from lamina.errors import InvalidInput

_VERSION = 1


def policy_of(encoded: Iterable[bytes]) -> SourcePolicy:
    """Return the policies of a request. Raise InvalidInput, Unsupported for rules that are not understood."""
    policies = [Policy.decode(raw) for raw in encoded if raw]
    if any(policy.version not in (0, _VERSION) for policy in policies):
        raise InvalidInput("the source policy is of an unknown version", advice=f"Write version {_VERSION}.")
    return SourcePolicy(tuple(tuple(map(_rule, policy.rules)) for policy in policies))


def _rule(rule: PolicyRule) -> Rule:
    selector, updates = rule.selector, rule.updates
    if selector is None:
        raise InvalidInput("a rule of the source policy has no selector")
    try:
        action, match = Action(rule.action), Match(selector.match)
        constraints = tuple((each.key, each.value, Condition(each.condition)) for each in selector.constraints)
    except ValueError as error:
        raise InvalidInput(f"a rule of the source policy is not understood: {error}") from None
    if action is Action.CONVERT and updates is None:
        raise InvalidInput("missing destination for convert rule", advice="Give the rule updates.")
    identifier, attributes = (updates.identifier, updates.attributes) if updates is not None else ("", {})
    return Rule(action, selector.identifier, match, constraints, identifier, attributes)

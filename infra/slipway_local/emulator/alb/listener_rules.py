"""A listener's rules: AWS refuses a second one of the same priority, ministack keeps both."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ministack.services import alb


def install() -> None:
    """Puts these behaviours in the place of ministack's."""
    alb._ACTION_MAP["CreateRule"] = _wrap_create_rule(alb._create_rule)
    alb._ACTION_MAP["SetRulePriorities"] = _wrap_set_rule_priorities(alb._set_rule_priorities)


def _wrap_create_rule(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(params: dict[str, Any]) -> Any:
        priorities = {"": alb._p(params, "Priority")}
        return _priority_in_use_error(alb._p(params, "ListenerArn"), priorities) or original(params)

    return create


def _wrap_set_rule_priorities(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def move(params: dict[str, Any]) -> Any:
        priorities = {}
        for number in itertools.count(1):
            arn = alb._p(params, f"RulePriorities.member.{number}.RuleArn")
            if not arn:
                break
            priorities[arn] = alb._p(params, f"RulePriorities.member.{number}.Priority")
        listener = (alb._rules.get(next(iter(priorities), "")) or {}).get("ListenerArn", "")
        return _priority_in_use_error(listener, priorities) or original(params)

    return move


def _priority_in_use_error(listener: str, priorities: dict[str, str]) -> Any:
    """Returns AWS's error if another rule has one of the requested priorities; else None."""
    used = {
        str(rule["Priority"])
        for arn, rule in alb._rules.items()
        if rule.get("ListenerArn") == listener and arn not in priorities
    }
    taken = sorted(used & set(priorities.values()))
    return alb._error("PriorityInUse", f"Priority '{taken[0]}' is currently in use") if taken else None

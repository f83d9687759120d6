"""A listener's rules: AWS refuses a second one of the same priority, ministack keeps both."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ministack.services import alb


def install() -> None:
    """Put these behaviours in the place of ministack's."""
    alb._ACTION_MAP["CreateRule"] = _created(alb._create_rule)
    alb._ACTION_MAP["SetRulePriorities"] = _moved(alb._set_rule_priorities)


def _created(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(params: dict[str, Any]) -> Any:
        asked = {"": alb._p(params, "Priority")}
        return _refused(alb._p(params, "ListenerArn"), asked) or original(params)

    return create


def _moved(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def move(params: dict[str, Any]) -> Any:
        asked = {}
        for number in itertools.count(1):
            arn = alb._p(params, f"RulePriorities.member.{number}.RuleArn")
            if not arn:
                break
            asked[arn] = alb._p(params, f"RulePriorities.member.{number}.Priority")
        listener = (alb._rules.get(next(iter(asked), "")) or {}).get("ListenerArn", "")
        return _refused(listener, asked) or original(params)

    return move


def _refused(listener: str, asked: dict[str, str]) -> Any:
    """AWS's error where a rule beside those that are asked for has one of the priorities; None where none has."""
    others = {
        str(rule["Priority"])
        for arn, rule in alb._rules.items()
        if rule.get("ListenerArn") == listener and arn not in asked
    }
    taken = sorted(others & set(asked.values()))
    return alb._error("PriorityInUse", f"Priority '{taken[0]}' is currently in use") if taken else None

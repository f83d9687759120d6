"""Compares a planned stack with AWS Security Hub controls, which are data: controls.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from slipway.graph.program_run import ResourceState

CONTROLS_FILE = Path(__file__).with_name("controls.yaml")
TASK_DEFINITION_TYPE = "aws:ecs/taskDefinition:TaskDefinition"
CONTAINER = "container"
CONDITIONS = ("equals", "one_of", "at_least", "matches", "absent_or", "contains", "exists")


@dataclass(frozen=True)
class Control:
    """One rule, and the resources that it applies to."""

    id: str
    title: str
    resource: str
    condition: str
    """One of CONDITIONS."""
    expected: Any
    property: str = ""
    where: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ControlException:
    """An accepted exception of some tiers from a control, with an owner and an end date."""

    id: str
    tiers: frozenset[str]
    owner: str
    reason: str
    until: date


@dataclass(frozen=True)
class Finding:
    """A resource that does not meet a control."""

    control: Control
    resource: str
    actual: Any
    exception: ControlException | None = None
    """Reason of the exception; None: a failure."""


def load_controls(file: Path = CONTROLS_FILE) -> tuple[list[Control], list[ControlException]]:
    """Returns the controls and the exceptions. Raises `ValueError` for an entry without exactly one condition."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    controls = []
    for entry in data["controls"]:
        conditions = [name for name in CONDITIONS if name in entry]
        if len(conditions) != 1:
            raise ValueError(f"{entry['id']} has {len(conditions)} conditions: it must have one of {CONDITIONS}")
        condition = conditions[0]
        controls.append(
            Control(
                entry["id"],
                entry["title"],
                entry["resource"],
                condition,
                entry[condition],
                entry.get("property", ""),
                entry.get("where"),
            )
        )
    exceptions = [
        ControlException(e["id"], frozenset(e["tiers"]), e["owner"], e["reason"], e["until"])
        for e in data["exceptions"]
    ]
    return controls, exceptions


def check_controls(states: Iterable[ResourceState], tier: str, today: date) -> list[Finding]:
    """Returns every resource that does not meet a control, with the tier's exception if it has not expired."""
    controls, exceptions = load_controls()
    resources = list(_resources(states))
    types = {resource_type for resource_type, _, _ in resources}
    accepted = {e.id: e for e in exceptions if tier in e.tiers and today <= e.until}
    return [
        Finding(control, name, actual, accepted.get(control.id))
        for control in controls
        for resource_type, name, inputs in resources
        if resource_type == control.resource and _is_meant(control, inputs)
        for is_met, actual in [_evaluate(control, inputs, types)]
        if not is_met
    ]


def _resources(states: Iterable[ResourceState]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yields type, name and inputs of each resource, and of each container as a separate resource."""
    for state in states:
        name = str(state["urn"]).rsplit("::", 1)[-1]
        yield state["type"], name, state["inputs"]
        if state["type"] == TASK_DEFINITION_TYPE:
            for container in json.loads(state["inputs"]["containerDefinitions"]):
                yield CONTAINER, f"{name}/{container['name']}", container


def _is_meant(control: Control, inputs: Mapping[str, Any]) -> bool:
    return all(_look_up(inputs, path) == value for path, value in (control.where or {}).items())


def _evaluate(control: Control, inputs: Mapping[str, Any], types: set[str]) -> tuple[bool, Any]:
    if control.condition == "exists":
        return control.expected in types, "missing"
    actual = _look_up(inputs, control.property)
    expected = control.expected
    match control.condition:
        case "equals":
            is_met = actual == expected
        case "one_of":
            is_met = actual in expected
        case "at_least":
            is_met = isinstance(actual, int) and actual >= expected
        case "matches":
            is_met = actual is not None and re.search(expected, str(actual)) is not None
        case "contains":
            is_met = isinstance(actual, list) and expected in actual
        case _:
            is_met = actual is None or actual == expected
    return is_met, actual


def _look_up(inputs: Any, path: str) -> Any:
    """Returns the value at `a.0.b`; None if there is none."""
    for part in path.split("."):
        if isinstance(inputs, list):
            inputs = inputs[int(part)] if part.isdigit() and int(part) < len(inputs) else None
        elif isinstance(inputs, Mapping):
            inputs = inputs.get(part)
        else:
            return None
    return inputs

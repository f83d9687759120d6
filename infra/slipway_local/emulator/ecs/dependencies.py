"""`dependsOn`: which containers of a task may start, and which never will."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DEFAULT_START_TIMEOUT_SECONDS = 180
"""How long Fargate waits for a container that others depend on, unless its startTimeout says otherwise."""
EXIT_CONDITIONS = ("COMPLETE", "SUCCESS")
CONDITIONS = ("START", "HEALTHY", *EXIT_CONDITIONS)
NOT_STARTED_EXIT_CODE = 143
"""The exit code that ECS's agent reports for a container whose dependency cannot be met any more."""

ContainerDefinition = dict[str, Any]


class UnmetDependency(Exception):
    """A dependency that will not be met any more; the text is the container's reason."""


def container_dependencies(definition: ContainerDefinition) -> list[tuple[str, str]]:
    """Returns the containers that one depends on, each with the condition."""
    return [(each["containerName"], each["condition"]) for each in definition.get("dependsOn") or []]


def dependency_error(definitions: list[ContainerDefinition]) -> str:
    """Returns why RegisterTaskDefinition refuses these dependencies; empty when it takes them."""
    by_name = {definition["name"]: definition for definition in definitions}
    for definition in definitions:
        for name, condition in container_dependencies(definition):
            other = by_name.get(name)
            told = f"Container {definition['name']} depends on {name} ({condition})"
            if other is None:
                return f"{told}, which is not in this task."
            if condition not in CONDITIONS:
                return f"{told}: a condition is one of {', '.join(CONDITIONS)}."
            if condition in EXIT_CONDITIONS and other.get("essential", True):
                return f"{told}: this condition can't be set on an essential container."
            if condition == "HEALTHY" and not other.get("healthCheck"):
                return f"{told}, which has no health check."
    try:
        container_start_order(definitions)
    except ValueError as error:
        return str(error)
    return ""


def container_start_order(definitions: list[ContainerDefinition]) -> list[list[str]]:
    """Returns the names of the containers in the order of their start, those together that do not depend on each other.

    Raises `ValueError` where they go round in a circle.
    """
    waiting = {
        definition["name"]: {name for name, _ in container_dependencies(definition)} for definition in definitions
    }
    found: list[list[str]] = []
    while waiting:
        placed = {name for layer in found for name in layer}
        ready = [name for name, needs in waiting.items() if needs <= placed]
        if not ready:
            raise ValueError(f"The containers {', '.join(waiting)} depend on each other.")
        found.append(ready)
        for name in ready:
            del waiting[name]
    return found


def are_dependencies_met(
    wanted: Iterable[tuple[str, str]], states: Mapping[str, dict[str, Any]], given_up: Iterable[str]
) -> bool:
    """Returns whether all conditions hold; `states` are Docker's of the containers that were started.

    Raises `Unresolvable` for one that cannot hold any more.
    """
    answers = [_is_condition_met(name, condition, states.get(name), name in given_up) for name, condition in wanted]
    return all(answers)


def _is_condition_met(name: str, condition: str, state: dict[str, Any] | None, given_up: bool) -> bool:
    if given_up:
        raise UnmetDependency(f"{name} was not started")
    if state is None:
        return False
    ended = state["Status"] in ("exited", "dead")
    if condition == "START":
        return True
    if condition == "HEALTHY":
        if ended:
            raise UnmetDependency(f"{name} exited with {state['ExitCode']} before it was healthy")
        return bool((state.get("Health") or {}).get("Status") == "healthy")
    if ended and condition == "SUCCESS" and state["ExitCode"]:
        raise UnmetDependency(f"{name} exited with {state['ExitCode']}, and its success is needed")
    return ended

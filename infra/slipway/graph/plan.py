"""Plans the resources of a stack file with a run of the program without Pulumi and without an account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from slipway.config.app_spec.loader import load_app
from slipway.config.settings import Settings
from slipway.graph import cost
from slipway.graph.program_run import ResourceState, run_program

STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class PlannedResource:
    """One resource that would be created."""

    type: str
    name: str
    parent: str
    """Its component, as `type name`; empty below the stack."""


def plan_resources(stack: str) -> list[PlannedResource]:
    """Returns the resources that `pulumi up` of a new stack would create. Raises `SlipwayError` if it would fail."""
    return to_planned_resources(plan_states(stack))


def plan_states(stack: str) -> list[ResourceState]:
    """Returns the planned resources with inputs (secrets masked) and dependencies. Raises `SlipwayError`."""
    load_app(Settings.from_files(stack))  # reports an invalid value before the program runs
    return run_program(stack)


def list_priced_resources(stack: str) -> list[cost.PricedResource]:
    """Returns the resources for the cost estimate. Raises `SlipwayError`."""
    return [
        cost.PricedResource(state["type"], state["urn"].rsplit("::", 1)[-1], state.get("inputs") or {})
        for state in plan_states(stack)
        if state["type"].startswith("aws:")
    ]


def to_planned_resources(states: list[ResourceState]) -> list[PlannedResource]:
    """Returns the resources without the stack, the providers and inputs."""
    made = []
    for state in states:
        if state["type"] == STACK_TYPE or state["type"].startswith("pulumi:providers:"):
            continue
        parent = state.get("parent", "")
        owner = "" if STACK_TYPE in parent.split("::")[2:3] else _owner(parent)
        made.append(PlannedResource(state["type"], state["urn"].rsplit("::", 1)[-1], owner))
    return made


def _owner(urn: str) -> str:
    _, _, types, name = urn.split("::", 3)
    return f"{types.rsplit('$', 1)[-1]} {name}"


def format_resource_tree(resources: list[PlannedResource]) -> str:
    """Formats the graph for reviews, one resource a line, in a deterministic order."""
    children: dict[str, list[PlannedResource]] = defaultdict(list)
    for resource in resources:
        children[resource.parent].append(resource)

    def lines(parent: str, depth: int) -> Iterator[str]:
        for resource in sorted(children[parent], key=lambda r: (r.type, r.name)):
            yield f"{'  ' * depth}{resource.type} {resource.name}"
            yield from lines(f"{resource.type} {resource.name}", depth + 1)

    return "\n".join(lines("", 0)) + "\n"


def plan_as_json(stack: str, resources: list[PlannedResource]) -> dict[str, Any]:
    """Returns the object of `slipway plan STACK --json`, without inputs, because some are secret."""
    return {"stack": stack, "create": len(resources), "resources": [asdict(resource) for resource in resources]}

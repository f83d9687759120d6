"""`slipway plan STACK --offline`: the engine's preview of a stack file with the local provider, and no account."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.app_file import load_app
from infra.errors import SlipwayError
from infra.graph import cost
from infra.local.paths import ROOT, link_project
from infra.local.provider.invokes import PLANNED_VPC
from infra.local.session import backend, open_session
from infra.settings import Settings

STACK_TYPE = "pulumi:pulumi:Stack"

State = dict[str, Any]
"""One resource of the preview as the engine tells it."""


@dataclass(frozen=True)
class Resource:
    """One resource that would be created."""

    type: str
    name: str
    parent: str
    """The component that it belongs to, as `type name`; empty below the stack."""


def plan(stack: str) -> list[Resource]:
    """What `pulumi up` of a new stack would create. Raises `SlipwayError` with the reason when it could not."""
    return resources(states(stack))


def states(stack: str) -> list[State]:
    """The preview's states: with inputs and dependencies, some inputs secret. Raises `SlipwayError` as `plan` does."""
    settings = Settings.from_files(stack)
    load_app(settings)  # a wrong value is named before anything else happens
    session = open_session()
    with tempfile.TemporaryDirectory(prefix="slipway-plan-") as scratch:
        project = Path(scratch) / "project"
        link_project(project)  # `stack init` writes its salt into the stack's file, which is not to change
        given = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text()) or {}
        config = {"config": _readable(given.get("config") or {})}
        (project / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(config))
        state = Path(scratch) / "state"
        state.mkdir()
        environment = session.environ() | {"PULUMI_BACKEND_URL": backend(state), "PULUMI_CONFIG_PASSPHRASE": "plan"}
        if settings.existing_vpc:
            environment[PLANNED_VPC] = settings.existing_vpc.id
        _pulumi(session.toolchain.pulumi, project, environment, "stack", "init", stack)
        answer = _pulumi(session.toolchain.pulumi, project, environment, "preview", "--json", "--stack", stack)
    return [step["newState"] for step in json.loads(answer)["steps"]]


def _readable(config: Any) -> Any:
    """The configuration without what only the stack's own key opens: a plan needs to know that there is a value."""
    if isinstance(config, dict):
        return "planned" if set(config) == {"secure"} else {key: _readable(value) for key, value in config.items()}
    return [_readable(value) for value in config] if isinstance(config, list) else config


def graph(stack: str) -> list[cost.Resource]:
    """The resources as the bill looks at them. Raises `SlipwayError` as `plan` does."""
    return [
        cost.Resource(state["type"], state["urn"].rsplit("::", 1)[-1], state.get("inputs") or {})
        for state in states(stack)
        if state["type"].startswith("aws:")
    ]


def _pulumi(binary: Path, project: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([binary, *arguments], cwd=project, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(f"`pulumi {' '.join(arguments)}` failed:\n{_words(done.stdout, done.stderr)}")
    return done.stdout


def _words(out: str, errors: str) -> str:
    """The engine's own diagnostics of a failed preview; whatever it printed when it has none."""
    try:
        found = [d["message"] for d in json.loads(out).get("diagnostics", []) if d.get("severity") == "error"]
    except ValueError:
        found = []
    return "\n".join(found) or (errors + out).strip()


def resources(found: list[State]) -> list[Resource]:
    """The states without the stack and the providers, and without inputs."""
    made = []
    for state in found:
        if state["type"] == STACK_TYPE or state["type"].startswith("pulumi:providers:"):
            continue
        parent = state.get("parent", "")
        owner = "" if STACK_TYPE in parent.split("::")[2:3] else _owner(parent)
        made.append(Resource(state["type"], state["urn"].rsplit("::", 1)[-1], owner))
    return made


def _owner(urn: str) -> str:
    _, _, types, name = urn.split("::", 3)
    return f"{types.rsplit('$', 1)[-1]} {name}"


def summary(resources: list[Resource]) -> str:
    """The graph as text, one resource a line, in an order that does not depend on the run: what review looks at."""
    children: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        children[resource.parent].append(resource)

    def lines(parent: str, depth: int) -> Iterator[str]:
        for resource in sorted(children[parent], key=lambda r: (r.type, r.name)):
            yield f"{'  ' * depth}{resource.type} {resource.name}"
            yield from lines(f"{resource.type} {resource.name}", depth + 1)

    return "\n".join(lines("", 0)) + "\n"


def as_json(stack: str, resources: list[Resource]) -> dict[str, Any]:
    """What `slipway plan STACK --offline --json` prints. Without inputs, for some of them are secret."""
    return {"stack": stack, "create": len(resources), "resources": [asdict(resource) for resource in resources]}

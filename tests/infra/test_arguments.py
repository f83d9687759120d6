"""Every argument that the program gives to every type of resource stands in arguments.txt: none changes unseen.

A test of its own for each would say no more than the program does. This says that it changed, and a review sees to
what: a firewall's rule that only counts, a backup that is not made any more, a password that is not marked secret.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime import rpc

from infra import naming
from infra.settings import ROOT, SECRETS_KEY, Settings
from tests.infra.program import programmed
from tests.infra.recorder import Registered

FILE = Path(__file__).with_name("arguments.txt")
WRITE = "SLIPWAY_WRITE_ARGUMENTS"
LEAST = {"tier": "dev", "waf": False, "protect": False, "databaseFinalSnapshot": False, "flowLogs": False}
LEAST |= {"containerInsights": False, "processes": {"worker": {"maxTasks": 1}}}
EVERYTHING = {
    "tier": "prod", "domain": "api.acme.test", "hostedZoneId": "Z1", "alarmEmail": "ops@acme.test",
    "natGateways": "per-zone", "interfaceEndpoints": True, "zones": 3, "previews": True, "previewData": "template",
    "previewDomain": "preview.acme.test", "databaseMultiAz": True, "databaseClass": "db.m7g.large", "cacheNodes": 2,
    "databaseRestoreFrom": "before", "backupCopyRegion": "us-west-2", "deployProfile": "safe", "monitoring": True,
    "grafana": True, "tracing": True, "managedPrometheus": True, "monthlyBudgetUsd": 100, "secretsGeneration": 2,
    "githubRepository": "acme/shop", "stateBucket": "state", "promotesTo": "other", "promotesFrom": "another",
    "stateKey": "arn:aws:kms:eu-central-1:123456789012:key/state",
}  # fmt: skip
PREVIEW = {
    "kind": "preview",
    "tier": "dev",
    "base": "dev",
    "expiresAt": "2030-01-31T12:00:00+00:00",
    "databasePoolSize": 2,
}
PROGRAMS = {"least": LEAST, "everything": EVERYTHING, "pr-42": PREVIEW}
"""Stack -> what differs from the defaults in Pulumi.yaml; the stack files are yours, and no matter here."""
MADE = ("aws:", "docker-build:", "pulumi:index:Stash")
WORDS = {"description", "alarmDescription", "tags", "tagsAll"}
"""For people: a change of them changes nothing. Tags have a test of their own."""
VARIABLES = ({"name", "value"}, {"name", "valueFrom"})
"""Of a container, a parameter group and the like."""
ANOTHER = re.compile(r"(\.slipway/build/[^/]+/)[0-9a-f]+|(RELEASE=).+|(SCRAM-SHA-256\$).+")
"""What follows from the files that an image is built from, and what is drawn: another one is no change."""
JSON = {"policy", "assumeRolePolicy", "containerDefinitions", "redrivePolicy", "eventPattern", "secretString"}


def settings(stack: str) -> Settings:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {key: value["default"] for key, value in config.items() if "default" in value and key != SECRETS_KEY}
    return Settings.load(defaults | {"pinImages": False} | PROGRAMS[stack], stack)


def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each value below `value` with its way to it; all that are in a list have the same one."""
    if rpc.is_rpc_secret(value):
        yield path, "(secret)"
        value = rpc.unwrap_rpc_secret(value)
    last = path.rpartition(".")[2]
    if last in JSON and isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in WORDS:
                yield from leaves(each, f"{path}.{key}")
        if not value:
            yield path, "{}"
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict) and each.keys() in VARIABLES:
                yield path, ANOTHER.sub(r"\1\2\3...", f"{each['name']}={each.get('value', each.get('valueFrom'))}")
            else:
                yield from leaves(each, f"{path}[]")
        if not value:
            yield path, "[]"
    else:
        text = str(value)
        # A file of the repository, or this machine's authorities: who changes it sees it there.
        yield path, "a text" if "\n" in text else ANOTHER.sub(r"\1\2\3...", text)


def given(stack: str) -> dict[str, dict[str, str]]:
    """Type -> argument -> its values, and whether every resource of the type has it."""
    resources: dict[str, list[dict[str, set[str]]]] = {}
    for resource in programmed(stack, settings(stack)):
        found: dict[str, set[str]] = {}
        for path, value in [*leaves(resource.inputs, ""), *options(resource)]:
            named = value.replace(f"slipway-{stack}", "NAME").replace(naming.identifier(f"slipway-{stack}"), "NAME")
            found.setdefault(path.removeprefix("."), set()).add(named)
        resources.setdefault(resource.type, []).append(found)
    told: dict[str, dict[str, str]] = {}
    for kind, each in resources.items():
        for path in sorted({path for found in each for path in found}):
            having = [found[path] for found in each if path in found]
            some = "" if len(having) == len(each) else "some: "
            told.setdefault(kind, {})[path] = some + " | ".join(sorted(set().union(*having)))
    return told


def options(resource: Registered) -> Iterator[tuple[str, str]]:
    """What the engine is told of it, and what kinds of resources have to be there before."""
    told = {
        "protect": resource.protect,
        "secretOutputs": sorted(resource.secret_outputs),
        "ignoreChanges": sorted(resource.ignore_changes),
        **resource.options,
    }
    for option, value in told.items():
        if value:
            yield f"({option})", json.dumps(value)
    for other in resource.depends_on:
        yield "(dependsOn)", other.partition(" ")[0]


def written() -> str:
    programs = {stack: given(stack) for stack in PROGRAMS}
    lines = []
    for kind in sorted({kind for found in programs.values() for kind in found if kind.startswith(MADE)}):
        lines.append(kind)
        having = {stack: found[kind] for stack, found in programs.items() if kind in found}
        for path in sorted({path for found in having.values() for path in found}):
            values = {stack: found.get(path, "-") for stack, found in having.items()}
            if len(set(values.values())) == 1:
                lines.append(f"  {path} = {next(iter(values.values()))}")
            else:
                lines += [f"  {path} [{stack}] = {value}" for stack, value in values.items()]
    return "\n".join(lines) + "\n"


def test_no_argument_of_any_resource_changes_unseen() -> None:
    """When a change is meant: SLIPWAY_WRITE_ARGUMENTS=1 .venv/bin/python -m pytest tests/infra/test_arguments.py, and
    look through what is new in arguments.txt before you commit it."""
    now = written()
    if os.environ.get(WRITE):
        FILE.write_text(now)
    before = FILE.read_text()
    gone = sorted(set(before.splitlines()) - set(now.splitlines()))
    new = sorted(set(now.splitlines()) - set(before.splitlines()))
    assert (gone, new) == ([], [])
    assert before == now

"""The environment that previews stand on, as their commands see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from infra import contract, naming
from infra.errors import SlipwayError
from infra.local.paths import ROOT
from infra.previews.engine import Engine, config_of
from infra.previews.leftovers import gone
from infra.release.client import Aws, configured
from infra.release.preview_database import Server
from infra.release.speaker import Say
from infra.release.stack import open_stack


@dataclass(frozen=True)
class Ground:
    """What an environment has exported for previews, and AWS with its configuration."""

    base: str
    aws: Aws
    foundation: Mapping[str, Any]
    """Empty where the environment is gone."""

    @property
    def limit(self) -> int:
        """How many previews there may be."""
        return int(self.foundation["previews"]["limit"])

    @cached_property
    def server(self) -> Server | None:
        """Where their databases are; None where the app needs none, or it is gone, be it half: without its task."""
        found = Server.of(self.foundation) if self.foundation else None
        try:
            if found:
                self.aws.of(self.cluster).client("ecs").describe_task_definition(taskDefinition=found.family)
        except ClientError as error:
            if not gone(error):
                raise
            return None
        return found

    @property
    def cluster(self) -> str:
        """ARN; empty where the environment is gone."""
        return str(self.foundation["cluster"]["arn"]) if self.foundation else ""

    def host(self, stack: str) -> str:
        """The name that a preview answers to."""
        return f"{stack}.{self.foundation['previews']['domain']}"

    def free_priority(self, stack: str) -> int:
        """A place for a preview's rule: the one that it has, else by its name, or the next that nobody has."""
        rules = self.aws.of(self.cluster).client("elbv2").get_paginator("describe_rules")
        pages = rules.paginate(ListenerArn=self.foundation["previews"]["listener_arn"])
        taken = {rule["Priority"]: _hosts(rule) for page in pages for rule in page["Rules"]}
        mine = [int(place) for place, hosts in taken.items() if self.host(stack) in hosts]
        place = mine[0] if mine else naming.rule_priority(stack, contract.NO_PREVIEW_PRIORITY)
        while not mine and str(place) in taken:
            place = place % (contract.NO_PREVIEW_PRIORITY - 1) + 1
        return place


def _hosts(rule: Any) -> list[str]:
    return [
        value
        for condition in rule["Conditions"]
        if condition.get("Field") == "host-header"
        for value in (condition.get("HostHeaderConfig") or {}).get("Values") or condition.get("Values") or []
    ]


def open_ground(base: str) -> Ground:
    """Ask the stack `base`. Raises `SlipwayError` where it is not there, or bears no previews."""
    stack = open_stack(base)
    foundation = stack.outputs["foundation"]
    if "previews" not in foundation:
        raise SlipwayError(
            f"The environment {base} bears no previews.",
            f"pulumi config set previews true --stack {base}, then pulumi up --stack {base}",
        )
    return Ground(base, stack.aws, foundation)


def ground_or_what_is_left(engine: Engine, base: str, say: Say) -> Ground:
    """The same; where the stack `base` is gone it is said, and AWS is that of its stack file, or the shell's."""
    try:
        return open_ground(base)
    except SlipwayError as error:
        if engine.has(base):
            raise
        say(f"The environment {base} is gone, and its database server with it: {error.message}")
        given = config_of(base, {}) if (ROOT / "stacks" / f"Pulumi.{base}.yaml").exists() else {}
        return Ground(base, configured({key[4:]: value for key, value in given.items() if key.startswith("aws:")}), {})

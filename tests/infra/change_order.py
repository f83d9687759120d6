"""The changes between two runs of the program, and what the former revision's tasks would miss while they still run.

What the engine does: it creates, updates and replaces in the order of dependencies, and deletes at the end, when the
program has verified every rollout. So a deletion harms no running task; what does is an update in place before the
rollout that takes something away, a replacement that deletes first, and a listener rule that moves requests early.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.components.web_service import UNREACHABLE_HOST
from slipway_local.provider.types import RESOURCE_TYPES
from tests.infra.program import plain
from tests.infra.recorder import Recording, Registered

Key = str
"""`Type name`, as dependencies have it."""
SERVICE = "aws:ecs/service:Service"
TASK_DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
RULE = "aws:lb/listenerRule:ListenerRule"
IMAGE = "docker-build:index:Image"
"""Another one is pushed beside the former: running tasks have theirs by its digest."""
RUNS_TASKS = (SERVICE, "aws:scheduler/schedule:Schedule")
TAGS = {"tags", "tagsAll"}
BY_PROGRAM = {
    ("LoadBalancer", "idleTimeout"),
    ("Queue", "visibilityTimeoutSeconds"),
    ("TargetGroup", "deregistrationDelay"),
}
"""Ignored by the engine: the program raises them before a rollout and lowers them after it, the idle time-out after it
always."""
REFUSED = {("TargetGroup", "healthCheck"): "health-check", ("Vpc", "cidrBlock"): "range"}
"""A hook, by the end of its name, compares old and new and refuses what running tasks would not survive."""
HARMLESS = {
    ("Bucket", "forceDestroy"): "at its deletion",
    ("Cluster", "configuration"): "sessions of ECS Exec only",
    ("Cluster", "settings"): "metrics only",
    ("Instance", "allowMajorVersionUpgrade"): "a permission, no change",
    ("Instance", "backupRetentionPeriod"): "backups only",
    ("Instance", "deleteAutomatedBackups"): "at its deletion",
    ("Instance", "deletionProtection"): "at its deletion",
    ("Instance", "finalSnapshotIdentifier"): "at its deletion",
    ("Instance", "skipFinalSnapshot"): "at its deletion",
    ("Instance", "instanceClass"): "RDS restarts the database, also without a release",
    ("Instance", "multiAz"): "no interruption",
    ("Instance", "allocatedStorage"): "no interruption",
    ("Instance", "maxAllocatedStorage"): "no interruption",
    ("Instance", "engineVersion"): "RDS upgrades the database, also without a release",
    ("Instance", "parameterGroupName"): "with its version",
    ("Key", "deletionWindowInDays"): "at its deletion",
    ("Listener", "certificateArn"): "clients of the former domain are cut off, as was asked for; no task is",
    ("Listener", "defaultActions"): "the former rules stay until the end",
    ("LoadBalancer", "enableDeletionProtection"): "at its deletion",
    ("LogGroup", "retentionInDays"): "old lines only",
    ("ParameterGroup", "family"): "replaced with the version",
    ("Record", "aliases"): "load balancer and distribution reach the same tasks",
    ("ReplicationGroup", "authTokenUpdateStrategy"): "ROTATE keeps the former token valid",
    ("ReplicationGroup", "automaticFailoverEnabled"): "no interruption",
    ("ReplicationGroup", "engineVersion"): "ElastiCache upgrades the cache, also without a release",
    ("ReplicationGroup", "multiAzEnabled"): "no interruption",
    ("ReplicationGroup", "nodeType"): "ElastiCache moves the cache, also without a release",
    ("ReplicationGroup", "numCacheClusters"): "the primary stays",
    ("Repository", "forceDelete"): "at its deletion",
    ("Route", "natGatewayId"): "open connections to the internet end once, those inside the VPC do not",
    ("Secret", "recoveryWindowInDays"): "at its deletion",
    ("Stash", "input"): "the release task runs",
    ("VpcEndpoint", "subnetIds"): "a zone more or less, inside the VPC",
}
"""In-place changes that take nothing from a running task, and why."""
OF_THE_KIT = ("slipway-dev-grafana-rule",)
"""Rules of paths that no process of the app serves: their requests need not wait."""
GROWS = {("LoadBalancer", "subnets"), ("SubnetGroup", "subnetIds")}
"""Lists that may get longer before the rollout; a shorter one has to be refused by the hook -zones."""


def key(resource: Registered) -> Key:
    return f"{_kind(resource)} {resource.name}"


def _kind(resource: Registered) -> str:
    return resource.type.rsplit(":", 1)[-1]


@dataclass(frozen=True)
class Change:
    """What the engine would do with one resource."""

    action: str
    """create, update, replace or delete."""
    resource: Registered
    """As it will be; of a deletion: as it was."""
    former: Registered | None = None
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two runs of the program, before and after one change of stacks/app.yaml or of a stack file."""

    before: dict[Key, Registered]
    after: dict[Key, Registered]

    @classmethod
    def of(cls, before: Recording, after: Recording) -> Comparison:
        return cls(_by_key(before), _by_key(after))

    @property
    def changes(self) -> list[Change]:
        found = [Change("create", new) for name, new in self.after.items() if name not in self.before]
        found += [Change("delete", old) for name, old in self.before.items() if name not in self.after]
        for name, new in self.after.items():
            old = self.before.get(name)
            properties = _changed(old, new) if old else ()
            if old and properties:
                found.append(Change("replace" if _replaced(old, new, properties) else "update", new, old, properties))
        return found

    @property
    def rollouts(self) -> list[str]:
        """The services whose tasks are replaced: they changed, or their task definition, or what that is made from.

        What depends on outputs, such as an image's digest or a new store's address, has no difference here.
        """
        changed = {key(c.resource) for c in self.changes if c.action != "delete"}
        renewed = {key(c.resource) for c in self.changes if c.action == "replace" or c.resource.type == IMAGE}
        rolled = []
        for name, service in self.after.items():
            if service.type == SERVICE and name in self.before:
                definitions = {d for d in service.depends_on if d.startswith("TaskDefinition ")}
                sources = {source for d in definitions for source in self.after[d].depends_on}
                if changed & {name, *definitions} or renewed & sources:
                    rolled.append(service.name)
        return sorted(rolled)

    @property
    def timeouts(self) -> list[tuple[str, int, int]]:
        """The time-outs that the program changes, since the engine ignores them, before and after."""
        found: set[tuple[str, int, int]] = set()
        for name, new in self.after.items():
            old = self.before.get(name)
            for kind, prop in BY_PROGRAM:
                if old and _kind(new) == kind and prop in new.ignore_changes and old.inputs[prop] != new.inputs[prop]:
                    found.add((f"{kind}.{prop}", int(old.inputs[prop]), int(new.inputs[prop])))
        return sorted(found)

    def faults(self) -> Iterator[str]:
        """What would be taken from running tasks before they are gone, or requests that would be moved too early."""
        if "range" in self.refusals():  # nothing of it is done
            return
        needed = _needed(self.before)
        for change in self.changes:
            name = key(change.resource)
            if change.resource.type == RULE:
                yield from self._rule_faults(change)
            elif change.action == "update" and name in needed and change.resource.type not in (*RUNS_TASKS, IMAGE):
                for prop in change.properties:
                    yield from _update_faults(change, prop)
            elif change.action == "replace" and name in needed and _deletes_first(change.resource):
                yield f"{name} is deleted before its replacement exists ({', '.join(change.properties)})"

    def _rule_faults(self, change: Change) -> Iterator[str]:
        """A rule of certain paths has to come after the rollouts, and go before the tasks it sends requests to."""
        rule = change.resource
        if change.action == "delete":
            users = [name for name, service in self.before.items() if key(rule) in service.depends_on]
            if not _is_attachment(rule) and set(users) - set(self.after):
                yield f"{key(rule)} still sends requests while {', '.join(users)} is being deleted"
            return
        has_tasks = any(name in self.before for name in self.after if name.startswith("Service "))
        waits = any(dependency.startswith("Service ") for dependency in rule.depends_on)
        if (
            has_tasks
            and not waits
            and rule.name not in OF_THE_KIT
            and not _is_attachment(rule)
            and not _takes_the_rest(rule)
        ):
            yield f"{key(rule)} moves requests before the new tasks serve ({change.action})"

    def refusals(self) -> list[str]:
        """Which hooks look at these changes, and may refuse them."""
        found = set()
        for change in self.changes:
            kind = _kind(change.resource)
            for prop in change.properties:
                ending = REFUSED.get((kind, prop)) or (
                    "zones" if (kind, prop) in GROWS and _shrinks(change, prop) else ""
                )
                if ending and _hooked(change.resource, ending):
                    found.add(ending)
        return sorted(found)


def _by_key(recording: Recording) -> dict[Key, Registered]:
    custom = [resource for resource in recording if not resource.type.startswith("slipway:")]
    named = {key(resource): resource for resource in custom}
    assert len(named) == len(custom), "two resources of one type have one name"
    return named


def _changed(old: Registered, new: Registered) -> tuple[str, ...]:
    names = (set(old.inputs) | set(new.inputs)) - TAGS - set(new.ignore_changes)
    return tuple(sorted(name for name in names if plain(old.inputs.get(name)) != plain(new.inputs.get(name))))


def _replaced(old: Registered, new: Registered, properties: tuple[str, ...]) -> bool:
    resource_type = RESOURCE_TYPES.get(new.type)
    if resource_type is None:
        return False
    forced = resource_type.force_replacement | resource_type.must_replace(old.inputs, new.inputs)
    return bool(forced & set(properties)) or bool(set(new.options.get("replaceOnChanges", ())) & set(properties))


def _deletes_first(resource: Registered) -> bool:
    resource_type = RESOURCE_TYPES.get(resource.type)
    return bool(resource.options.get("deleteBeforeReplace")) or bool(
        resource_type and resource_type.delete_before_replace
    )


def _needed(resources: dict[Key, Registered]) -> set[Key]:
    """What running tasks depend on: services, schedules, listener rules, and all that those depend on."""
    found: set[Key] = set()
    open_ = [name for name, resource in resources.items() if resource.type in (*RUNS_TASKS, RULE)]
    while open_:
        name = open_.pop()
        if name not in found and name in resources:
            found.add(name)
            open_ += resources[name].depends_on
    return found


def _update_faults(change: Change, prop: str) -> Iterator[str]:
    kind, name = _kind(change.resource), key(change.resource)
    if (kind, prop) in REFUSED:
        if not _hooked(change.resource, REFUSED[kind, prop]):
            yield f"{name}: {prop} changes under the running tasks, and no hook asks them"
    elif (kind, prop) in GROWS:
        if _shrinks(change, prop) and kind == "LoadBalancer" and not _hooked(change.resource, "zones"):
            yield f"{name}: {prop} loses some before the rollout, and no hook refuses"
    elif (kind, prop) == ("RolePolicy", "policy"):
        assert change.former
        lost = _allowed(change.former) - _allowed(change.resource)
        if lost:
            yield f"{name}: running tasks lose {', '.join(sorted(lost))} before the rollout"
    elif (kind, prop) not in HARMLESS:
        yield f"{name}: {prop} changes before the rollout. Mend it, or say in change_order.py why that is harmless"


def _shrinks(change: Change, prop: str) -> bool:
    assert change.former
    return bool(set(change.former.inputs[prop]) - set(change.resource.inputs[prop]))


def _hooked(resource: Registered, ending: str) -> bool:
    return any(name.endswith(f"-{ending}") for name in resource.hooks.get("before_update", ()))


def _allowed(policy: Registered) -> set[str]:
    """Each action on each resource that a policy allows."""
    allowed = set()
    for statement in json.loads(plain(policy.inputs["policy"]))["Statement"]:
        for action in _as_list(statement["Action"]):
            allowed |= {f"{action} on {resource}" for resource in _as_list(statement["Resource"])}
    return allowed


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _patterns(rule: Registered, condition: str) -> list[str]:
    return [value for entry in plain(rule.inputs["conditions"]) for value in entry.get(condition, {}).get("values", [])]


def _is_attachment(rule: Registered) -> bool:
    return _patterns(rule, "hostHeader") == [UNREACHABLE_HOST]


def _takes_the_rest(rule: Registered) -> bool:
    """Whether it is of all paths and comes last: it takes only what no other rule takes."""
    return _patterns(rule, "pathPattern") == ["/*"] and not _patterns(rule, "hostHeader")

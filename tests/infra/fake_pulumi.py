"""A Pulumi engine with stacks in memory, and an AWS that its updates fill; each may be killed after any call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError

CLUSTER = "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/lb/1/2"
TYPES = {
    "aws:secretsmanager/secret:Secret": "arn:aws:secretsmanager:r:1:secret:{stack}/own",
    "aws:cloudwatch/logGroup:LogGroup": "arn:aws:logs:r:1:log-group:{stack}/web",
    "aws:ecs/taskDefinition:TaskDefinition": "arn:aws:ecs:r:1:task-definition/{stack}:1",
    "aws:lb/targetGroup:TargetGroup": "arn:aws:elasticloadbalancing:r:1:targetgroup/{stack}/1",
    "aws:lb/listenerRule:ListenerRule": "arn:aws:elasticloadbalancing:r:1:listener-rule/app/lb/1/2/{stack}",
    "aws:ecs/service:Service": "arn:aws:ecs:r:1:service/main/{stack}",
}
"""What a preview makes, in order, and its ARN."""


class Killed(BaseException):
    """The process was ended: nothing catches it."""


@dataclass
class Killer:
    """Counts calls, and ends the process after one of them."""

    after: int = 0
    """0: never."""
    calls: int = 0
    last: str = ""

    def tick(self, call: str) -> None:
        self.calls += 1
        self.last = call
        if self.after and self.calls == self.after:
            raise Killed(call)


@dataclass
class FakeAws:
    """The resources of one account: ARN -> tags; and what else a preview leaves."""

    killer: Killer
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    rules: dict[int, str] = field(default_factory=dict)
    """Priority -> host."""
    databases: set[str] = field(default_factory=set)

    def of(self, arn: str) -> FakeAws:
        return self

    def client(self, service: str) -> FakeAws:
        return self

    def get_paginator(self, call: str) -> Any:
        def paginate(**given: Any) -> Any:
            if call == "describe_rules":
                pages = [{"Rules": [_rule(priority, host) for priority, host in self.rules.items()]}]
            else:
                wanted = {each["Key"]: each["Values"][0] for each in given["TagFilters"]}
                found = [(arn, tags) for arn, tags in self.resources.items() if wanted.items() <= tags.items()]
                pages = [{"ResourceTagMappingList": [_mapping(arn, tags) for arn, tags in found]}]
            self.killer.tick(call)
            return pages

        return type("Paginator", (), {"paginate": staticmethod(paginate)})()

    def _found(self, arn: str) -> bool:
        self.killer.tick(f"look at {arn}")
        return arn in self.resources

    def _remove(self, arn: str) -> None:
        if arn not in self.resources:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "gone"}}, "Delete")
        self.remove(arn)
        self.killer.tick(f"delete {arn}")

    def remove(self, arn: str) -> None:
        del self.resources[arn]
        if ":listener-rule/" in arn:
            stack = arn.rsplit("/", 1)[-1]
            self.rules = {priority: host for priority, host in self.rules.items() if not host.startswith(f"{stack}.")}

    def describe_services(self, cluster: str, services: list[str]) -> Any:
        return {"services": [{"status": "ACTIVE"}] if self._found(services[0]) else []}

    def describe_rules(self, RuleArns: list[str]) -> Any:
        hosts = {f"{TYPES['aws:lb/listenerRule:ListenerRule'].format(stack=host.split('.')[0])}": (priority, host)
                 for priority, host in self.rules.items()}  # fmt: skip
        return {"Rules": [_rule(*hosts[arn]) for arn in RuleArns if arn in hosts]}

    def describe_target_groups(self, TargetGroupArns: list[str]) -> Any:
        return {"TargetGroups": [{}] if self._found(TargetGroupArns[0]) else []}

    def describe_task_definition(self, taskDefinition: str) -> Any:
        return {"taskDefinition": {"status": "ACTIVE" if taskDefinition in self.resources else "INACTIVE"}}

    def describe_secret(self, SecretId: str) -> Any:
        return {} if self._found(SecretId) else {"DeletedDate": "now"}

    def describe_log_groups(self, logGroupNamePrefix: str) -> Any:
        arn = f"arn:aws:logs:r:1:log-group:{logGroupNamePrefix}"
        return {"logGroups": [{"logGroupName": logGroupNamePrefix}] if self._found(arn) else []}

    def delete_service(self, cluster: str, service: str, force: bool) -> None:
        self._remove(service)

    def delete_rule(self, RuleArn: str) -> None:
        self._remove(RuleArn)

    def delete_target_group(self, TargetGroupArn: str) -> None:
        self._remove(TargetGroupArn)

    def deregister_task_definition(self, taskDefinition: str) -> None:
        self.killer.tick("deregister")

    def delete_task_definitions(self, taskDefinitions: list[str]) -> None:
        self._remove(taskDefinitions[0])

    def delete_secret(self, SecretId: str, ForceDeleteWithoutRecovery: bool) -> None:
        self._remove(SecretId)

    def delete_log_group(self, logGroupName: str) -> None:
        self._remove(f"arn:aws:logs:r:1:log-group:{logGroupName}")


def _rule(priority: int, host: str) -> Any:
    return {"Priority": str(priority), "Conditions": [{"Field": "host-header", "Values": [host]}]}


def _mapping(arn: str, tags: dict[str, str]) -> Any:
    return {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


@dataclass
class FakeStack:
    tags: dict[str, str] = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    damaged: bool = False


@dataclass
class FakePulumi:
    """Stands in for `run_pulumi` and `run_pulumi_attached`."""

    killer: Killer
    aws: FakeAws
    stacks: dict[str, FakeStack] = field(default_factory=dict)
    config: dict[str, dict[str, str]] = field(default_factory=dict)
    """Stack -> its committed configuration."""
    up_fails: list[str] = field(default_factory=list)
    """Reasons why the next updates fail, one after the other."""
    on_up: Any = None
    """Called with the image digest of an environment's update."""
    on_tag: Any = None
    """Called after a tag was set."""
    commands: list[str] = field(default_factory=list)
    backend_url: str = "https://api.pulumi.com"

    def ask(self, arguments: Any, folder: Path | None = None, **_: Any) -> str:
        words = list(arguments)
        self.commands.append(" ".join(words))
        answer = self._answer(words, folder)
        self.killer.tick(" ".join(words))
        return answer

    def attached(self, arguments: Any, folder: Path, **_: Any) -> int:
        words = list(arguments)
        self.commands.append(" ".join(words))
        stack = _option(words, "--stack")
        if self.up_fails:
            self.up_fails.pop(0)
            return 255
        if words[0] == "destroy":
            self._destroy(stack)
        elif "--config-file" in words:
            given = yaml.safe_load(Path(_option(words, "--config-file")).read_text())["config"]
            self._update_environment(stack, given)
        else:
            self._up(stack, folder)
        self.killer.tick(words[0])
        return 0

    def _answer(self, words: list[str], folder: Path | None) -> str:
        stack = _option(words, "--stack")
        if words[0] == "whoami":
            return json.dumps({"url": self.backend_url})
        if words[:2] == ["stack", "ls"]:
            key, _, value = _option(words, "--tag").partition("=")
            assert key, "other stacks may not be read"
            listed = [name for name, each in self.stacks.items() if each.tags.get(key) == value]
            if any(self.stacks[name].damaged for name in listed):
                raise SlipwayError("`pulumi stack ls` failed:\nerror: place 1: unexpected end of JSON input")
            return json.dumps([{"name": name} for name in listed])
        if words[:2] == ["stack", "init"]:
            assert words[2] not in self.stacks
            self.stacks[words[2]] = FakeStack()
            return ""
        if words[0] == "config":
            return self._config(words, stack)
        if stack not in self.stacks:
            raise SlipwayError(f"`pulumi` failed:\nerror: no stack named '{stack}' found")
        return self._about(words, self.stacks[stack], stack)

    def _about(self, words: list[str], about: FakeStack, stack: str) -> str:
        match words[1:3]:
            case ["tag", "ls"]:
                return json.dumps(about.tags)
            case ["tag", "set"]:
                about.tags[words[3]] = words[4]
                if self.on_tag:
                    self.on_tag(stack, words[3])
                return ""
            case ["tag", "rm"]:
                del about.tags[words[3]]
                return ""
            case ["rm", "--yes"]:
                assert not about.resources
                del self.stacks[stack]
                return ""
        if about.damaged:
            raise SlipwayError("`pulumi` failed:\nerror: place 1: unexpected end of JSON input")
        if words[1] == "export":
            root = {"type": "pulumi:pulumi:Stack", "urn": "root", "outputs": about.outputs}
            resources = [root, *about.resources] if about.resources else None
            return json.dumps({"deployment": {"resources": resources}})
        if words[1] == "history":
            return json.dumps(about.history[:1])
        if words[1] == "output":
            return json.dumps(about.outputs)
        raise AssertionError(words)

    def _config(self, words: list[str], stack: str) -> str:
        if "--config-file" in words:
            path = Path(_option(words, "--config-file"))
            content = yaml.safe_load(path.read_text()) or {}
            content.setdefault("config", {})[words[2]] = words[3]
            path.write_text(yaml.safe_dump(content))
            return ""
        own = self.config.setdefault(stack, {})
        if words[1] == "set":
            own[words[2]] = words[3]
        elif words[1] == "rm":
            own.pop(words[2], None)
        else:
            return json.dumps({key: {"value": value} for key, value in own.items()})
        return ""

    def _up(self, stack: str, folder: Path) -> None:
        about = self.stacks[stack]
        config = yaml.safe_load((folder / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
        priority = int(config["slipway:rulePriority"])
        self.aws.databases.add(stack)
        self.killer.tick("up: database")
        tags = {"kind": "preview", "stack": f"slipway-{stack}", "base": f"slipway-{config['slipway:base']}"}
        for type_, pattern in TYPES.items():
            arn = pattern.format(stack=stack)
            if type_.endswith("ListenerRule"):
                host = f"{stack}.preview.example.com"
                taken = self.aws.rules.get(priority, host)
                if taken != host:
                    about.history.insert(0, {"config": _history_config(config)})
                    raise SlipwayError("`pulumi up` ended with 255. PriorityInUse")
                self.aws.rules[priority] = host
            self.aws.resources[arn] = tags
            if not any(each["id"] == arn for each in about.resources):
                urn = f"a::b::{type_}::{stack}"
                about.resources.append({"type": type_, "urn": urn, "id": arn, "inputs": {"tags": tags}})
            self.killer.tick(f"up: {type_}")
        about.outputs = {"url": f"https://{stack}.preview.example.com/", "preview": {"cluster": CLUSTER}}
        about.history.insert(0, {"config": _history_config(config)})

    def _destroy(self, stack: str) -> None:
        about = self.stacks[stack]
        while about.resources:
            resource = about.resources.pop()
            if resource["id"] in self.aws.resources:
                self.aws.remove(resource["id"])
            self.killer.tick(f"destroy: {resource['type']}")
        del self.stacks[stack]

    def _update_environment(self, stack: str, config: dict[str, str]) -> None:
        if self.on_up:
            self.on_up(config)
        self.killer.tick("up: the service")
        self.stacks[stack].history.insert(0, {"config": _history_config(config)})


def _history_config(config: dict[str, Any]) -> dict[str, Any]:
    return {key: {"value": value} for key, value in config.items()}


def _option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1] if name in words else ""

"""Reads the base environment that previews share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from slipway.components.outputs_schema import check_outputs_version
from slipway.config import constants, names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, project_root
from slipway.previews.orphans import is_not_found
from slipway.previews.preview_stacks import PulumiBackend, build_preview_config
from slipway.release.aws_session import AwsSession, create_aws_session
from slipway.release.deployed_stack import open_stack
from slipway.release.pause import check_not_paused
from slipway.release.preview_database import PreviewDatabaseServer
from slipway.release.preview_guard import listener_rule_hosts
from slipway.release.progress import ProgressReporter


@dataclass(frozen=True)
class BaseEnvironment:
    """An environment's outputs, and an AWS session with its configuration."""

    base: str
    aws: AwsSession
    environment_outputs: Mapping[str, Any]
    """Its output `foundation`: without `previews` if they are disabled, empty if the environment was destroyed."""

    @property
    def limit(self) -> int:
        """Maximum number of previews."""
        return int(self.environment_outputs["previews"]["limit"])

    @cached_property
    def server(self) -> PreviewDatabaseServer | None:
        """The database server of its previews; None if the app needs no database, or if the task that creates and
        drops databases was destroyed."""
        if "previews" not in self.environment_outputs:
            return None
        server = PreviewDatabaseServer.of(self.environment_outputs)
        try:
            if server:
                self.aws.of(self.cluster).client("ecs").describe_task_definition(taskDefinition=server.family)
        except ClientError as error:
            if not is_not_found(error):
                raise
            return None
        return server

    @property
    def cluster(self) -> str:
        """ARN; empty if the environment was destroyed."""
        return str(self.environment_outputs["cluster"]["arn"]) if self.environment_outputs else ""

    def host(self, stack: str) -> str:
        """Returns the DNS name of a preview."""
        return f"{stack}.{self.environment_outputs['previews']['domain']}"

    def find_rule_priority(self, stack: str) -> int:
        """Returns the priority of a preview's listener rule: its present one, else one from its name or a free one."""
        hosts_by_priority = self._list_rules()
        own = [priority for priority, hosts in hosts_by_priority.items() if self.host(stack) in hosts]
        if own:
            return own[0]
        priority = names.preview_rule_priority(stack, constants.UNKNOWN_PREVIEW_RULE_PRIORITY)
        while priority in hosts_by_priority:
            priority = priority % (constants.UNKNOWN_PREVIEW_RULE_PRIORITY - 1) + 1
        return priority

    def is_priority_taken(self, stack: str, priority: int) -> bool:
        """Whether another rule of the listener has this priority."""
        hosts = self._list_rules().get(priority)
        return hosts is not None and self.host(stack) not in hosts

    def _list_rules(self) -> dict[int, list[str]]:
        """Returns priority -> hosts of the listener's rules, without its default rule."""
        paginator = self.aws.of(self.cluster).client("elbv2").get_paginator("describe_rules")
        pages = paginator.paginate(ListenerArn=self.environment_outputs["previews"]["listener_arn"])
        rules = [rule for page in pages for rule in page["Rules"]]
        return {int(rule["Priority"]): listener_rule_hosts(rule) for rule in rules if str(rule["Priority"]).isdigit()}


def open_base_environment(base: str) -> BaseEnvironment:
    """Reads the environment `base`.

    Raises `SlipwayError` if it does not exist, if its previews are disabled, or if another passphrase encrypts it.
    """
    try:
        stack = open_stack(base)
    except SlipwayError as error:
        if "passphrase" not in error.message:
            raise
        raise SlipwayError(
            f"Previews read the configuration of {base}, which is encrypted with another passphrase than that in "
            "PULUMI_CONFIG_PASSPHRASE.",
            f"Encrypt it with a KMS key: pulumi stack change-secrets-provider 'awskms://...&context_stack={base}' "
            f"--stack {base}, with the address that slipway bootstrap prints.",
        ) from None
    environment_outputs = stack.outputs["foundation"]
    check_outputs_version(base, environment_outputs)
    if "previews" not in environment_outputs:
        raise SlipwayError(
            f"The environment {base} has previews: false.",
            f"pulumi config set previews true --stack {base}, then pulumi up --stack {base}",
        )
    check_not_paused(stack.aws, project_name(), base)
    return BaseEnvironment(base, stack.aws, environment_outputs)


def open_base_environment_or_empty(engine: PulumiBackend, base: str, say: ProgressReporter) -> BaseEnvironment:
    """Reads the environment `base` to destroy previews, even if it was destroyed or its previews are disabled.

    Reports either case. With previews disabled, a preview's database cannot be dropped. If the stack `base` was
    destroyed, its stack file or the shell configures AWS. Raises `SlipwayError` if the stack exists and is unreadable.
    """
    try:
        stack = open_stack(base)
    except SlipwayError as error:
        if engine.has(base):
            raise
        say(f"The environment {base} does not exist, nor does its database server: {error.message}")
        has_file = (project_root() / "stacks" / f"Pulumi.{base}.yaml").exists()
        config = build_preview_config(base, {}) if has_file else {}
        aws_config = {key[4:]: value for key, value in config.items() if key.startswith("aws:")}
        return BaseEnvironment(base, create_aws_session(aws_config), {})
    environment_outputs = stack.outputs["foundation"]
    if "previews" not in environment_outputs:
        say(
            f"The environment {base} has previews: false. A preview's resources are removed by its own state; its "
            f"database stays in the server until: pulumi config set previews true --stack {base}, pulumi up, and "
            "slipway preview destroy again."
        )
    return BaseEnvironment(base, stack.aws, environment_outputs)

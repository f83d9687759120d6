"""Tags every taggable resource, so that bills, budgets and searches for orphans distinguish stacks."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

UNTAGGED_TYPE_PREFIX = "aws:vpc/securityGroup"
"""Security group rules: they are free, and are deleted with their group, which is tagged."""


def register_stack_tags(project: str, stack: str, tier: str, **extra_tags: str) -> None:
    """Adds the tags `project`, `stack` (`<project>-<stack>`), `tier` and `extra_tags` to every resource from now on.

    A resource's own tags take precedence. Registering a resource whose tags are not a mapping raises `TypeError`.
    """
    tags = {"project": project, "stack": stack, "tier": tier, **extra_tags}

    def add_tags(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        takes_tags = args.type_.startswith("aws:") and hasattr(type(args.resource), "tags")
        if not takes_tags or args.type_.startswith(UNTAGGED_TYPE_PREFIX):
            return None
        own_tags = args.props.get("tags") or {}
        if not isinstance(own_tags, Mapping):
            raise TypeError(f"{args.name}: tags must be a mapping, because the stack's tags are added to it")
        return pulumi.ResourceTransformationResult({**args.props, "tags": {**tags, **own_tags}}, args.opts)

    pulumi.runtime.register_stack_transformation(add_tags)

"""Tags on everything that takes tags: what the bill, the budget and a search for leftovers tell stacks apart by."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

LEFT_OUT = "aws:vpc/securityGroup"
"""Rules of security groups: they cost nothing, and live and end with their group, which is tagged."""


def tag_everything(project: str, stack: str, tier: str, **more: str) -> None:
    """From now on every resource that takes tags gets `project`, `stack` (`<project>-<stack>`), `tier` and `more`."""
    tags = {"project": project, "stack": stack, "tier": tier, **more}

    def tagged(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        taggable = args.type_.startswith("aws:") and hasattr(type(args.resource), "tags")
        if not taggable or args.type_.startswith(LEFT_OUT):
            return None
        own = args.props.get("tags") or {}
        if not isinstance(own, Mapping):
            raise TypeError(f"{args.name}: tags are given as a mapping here, for others are added to them")
        return pulumi.ResourceTransformationResult({**args.props, "tags": {**tags, **own}}, args.opts)

    pulumi.runtime.register_stack_transformation(tagged)

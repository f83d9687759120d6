"""A deployment kit for FastAPI on AWS. A Pulumi program calls `slipway.deploy()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi

    from slipway.program.deployment import Deployment

__all__ = ["deploy"]


def deploy(transforms: Sequence[pulumi.ResourceTransform] = ()) -> Deployment:
    """Creates all resources of the selected stack, an environment or a preview, and returns its typed outputs.

    `transforms`: Pulumi transforms that may change every resource of the stack before it is created.

    Raises:
        pulumi.RunError: A setting is wrong: it names the key, the value and what is allowed.
    """
    from slipway.program.deploy import deploy_stack  # pulumi_aws takes seconds to import: commands do without

    return deploy_stack(transforms)

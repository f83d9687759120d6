"""Creates the resources of the selected stack: an environment or a preview, by its setting `kind`."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from slipway.config.app_spec.loader import load_app
from slipway.config.errors import SlipwayError
from slipway.config.names import stack_name
from slipway.config.settings import Settings
from slipway.program.deployment import Deployment
from slipway.program.environment import create_environment
from slipway.program.preview import create_preview
from slipway.program.stack_context import StackContext
from slipway.program.tags import register_stack_tags
from slipway.release.pre_deploy_hooks import refuse_while_paused


def deploy_stack(transforms: Sequence[pulumi.ResourceTransform] = ()) -> Deployment:
    """Creates an environment, or a preview on one, with `transforms` applied to every resource of the stack.

    Raises:
        pulumi.RunError: Settings or app.yaml are invalid. Pulumi prints it without a stack trace.
    """
    for transform in transforms:
        pulumi.runtime.register_resource_transform(transform)
    settings = Settings.from_pulumi()
    project = pulumi.get_project()
    name = stack_name(project, pulumi.get_stack())
    preview_tags = {"kind": "preview", "base": stack_name(project, settings.base)} if settings.base else {}
    register_stack_tags(project, name, settings.tier, **preview_tags)
    try:
        context = StackContext(name, load_app(settings), settings)
        refuse_while_paused(settings.base or pulumi.get_stack())
        if settings.kind == "environment":
            return create_environment(context)
        return create_preview(context)
    except SlipwayError as error:
        raise pulumi.RunError(str(error)) from None

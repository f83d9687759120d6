"""Creates the shared resources of all previews of an environment: see components/preview_shared.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi

from slipway.components.alarms import HasAlarms
from slipway.components.ci_targets import CiTargets
from slipway.components.outputs import EnvironmentOutputs, PreviewSharedOutputs
from slipway.components.preview_listener import PreviewListener
from slipway.components.preview_shared import PreviewDatabaseTaskArgs, PreviewSharedResources
from slipway.program.component_args.previews import preview_listener_args, preview_shared_args
from slipway.program.data_stores import DataStores
from slipway.program.database_roles import owner_login
from slipway.program.kit_images import build_kit_image
from slipway.program.preview_template_database import create_preview_template_database
from slipway.program.processes import Processes
from slipway.program.stack_context import StackContext


@dataclass(frozen=True)
class PreviewSharing:
    """Shared resources of an environment's previews; empty by default."""

    outputs: PreviewSharedOutputs | None = None
    alarm_sources: list[HasAlarms] = field(default_factory=list)
    ci_targets: CiTargets = field(default_factory=CiTargets)


def create_preview_shared_resources(
    context: StackContext,
    *,
    environment_outputs: EnvironmentOutputs,
    load_balancer_arn: pulumi.Input[str],
    stores: DataStores,
    processes: Processes,
) -> PreviewSharing:
    """Creates roles, a security group, a Redis image and the database task, if the app needs them."""
    settings = context.settings
    cache_image = _build_cache_image(context, environment_outputs) if "cache" in context.app.stores else ""
    listener = None
    if settings.preview_domain:
        listener = PreviewListener(
            context.name,
            preview_listener_args(
                settings,
                load_balancer=environment_outputs.load_balancer,
                load_balancer_arn=load_balancer_arn,
            ),
        )
    template = ""
    if settings.preview_data == "template" and context.app.preview_seed:
        template = create_preview_template_database(
            context, environment_outputs=environment_outputs, stores=stores, processes=processes
        )
    args = preview_shared_args(
        settings,
        context.app,
        environment_outputs=environment_outputs,
        url=listener.url if listener else "",
        listener_arn=listener.listener_arn if listener else "",
        cache_image=cache_image,
        database_task=_database_task_args(stores, processes),
        template=template,
    )
    shared = PreviewSharedResources(context.name, args)
    return PreviewSharing(
        outputs=shared.outputs,
        alarm_sources=[listener] if listener else [],
        ci_targets=CiTargets(tasks=shared.tasks),
    )


def _build_cache_image(context: StackContext, environment_outputs: EnvironmentOutputs) -> pulumi.Output[str]:
    """Builds the image of the Redis sidecar in a preview's task."""
    base_image = f"redis:{context.settings.cache_version[0]}-alpine"
    return build_kit_image(context, environment_outputs.registry, "cache", base_image, name="previews-cache")


def _database_task_args(stores: DataStores, processes: Processes) -> PreviewDatabaseTaskArgs | None:
    if not stores.database_roles or processes.database_image is None:
        return None
    login = owner_login(stores.values.require_database(), stores.database_roles)
    return PreviewDatabaseTaskArgs(image=processes.database_image, environment=login.environment, secrets=login.secrets)

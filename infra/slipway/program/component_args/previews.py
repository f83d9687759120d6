"""Arguments of the shared resources of an environment's previews."""

from __future__ import annotations

import pulumi

from slipway.components.ecs_exec import exec_statements
from slipway.components.outputs import EnvironmentOutputs, LoadBalancerOutputs
from slipway.components.preview_listener import PreviewListenerArgs
from slipway.components.preview_shared import PreviewDatabaseTaskArgs, PreviewSharedResourcesArgs
from slipway.config.app_spec.app import AppSpec
from slipway.config.settings import Settings


def preview_listener_args(
    settings: Settings, *, load_balancer: LoadBalancerOutputs, load_balancer_arn: pulumi.Input[str]
) -> PreviewListenerArgs:
    """Returns the arguments of the listener for `*.previewDomain`."""
    return PreviewListenerArgs(
        domain=settings.preview_domain,
        hosted_zone_id=settings.hosted_zone_id,
        load_balancer=load_balancer,
        load_balancer_arn=load_balancer_arn,
        has_tls=bool(settings.domain),
    )


def preview_shared_args(
    settings: Settings,
    app: AppSpec,
    *,
    environment_outputs: EnvironmentOutputs,
    url: pulumi.Input[str],
    listener_arn: pulumi.Input[str],
    cache_image: pulumi.Input[str],
    database_task: PreviewDatabaseTaskArgs | None,
    template: str,
) -> PreviewSharedResourcesArgs:
    """Returns the arguments of the roles, the security group and the database task of all previews."""
    return PreviewSharedResourcesArgs(
        environment_outputs=environment_outputs,
        port=app.port,
        domain=settings.preview_domain,
        url=url,
        listener_arn=listener_arn,
        limit=settings.preview_limit,
        cache_image=cache_image,
        database_task=database_task,
        template=template,
        task_statements=(
            exec_statements(environment_outputs.cluster, environment_outputs.key_arn) if settings.exec_enabled else ()
        ),
        database_port=settings.preview_database_port,
        architecture=settings.architecture,
        log_retention_days=settings.log_retention_days,
    )

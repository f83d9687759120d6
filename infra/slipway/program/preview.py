"""Creates a preview. Read `create_preview` top to bottom as its architecture."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from slipway.components.container_image import ContainerImage
from slipway.components.preview_service import PreviewService
from slipway.components.secrets import Secrets
from slipway.config import names
from slipway.config.project import project_root
from slipway.program.component_args import data, images
from slipway.program.deployment import Deployment
from slipway.program.preview_builder import (
    PreviewServiceBuilder,
    preview_host_and_url,
    read_base_outputs,
    verification_url,
)
from slipway.program.preview_data import PreviewData
from slipway.program.process_images import ProcessImages
from slipway.program.process_outputs import ProcessOutputs
from slipway.program.stack_context import StackContext
from slipway.release.alembic_heads import check_heads
from slipway.release.image_tag import free_tag_hook
from slipway.release.post_deploy_verification import verify_rollout_on_every_up


def create_preview(context: StackContext) -> Deployment:
    """Creates all resources of a preview and returns its base environment's outputs; the base is only read.

    Raises:
        SlipwayError: The setting `base` is empty, a required secret is missing, the app has several Alembic heads, or
            not exactly one process behind the load balancer.
    """
    name = context.name
    settings = context.settings
    check_heads(project_root() / context.app.source, context.app.release)
    context = replace(context, app=context.app.to_preview_spec())
    app = context.app
    base_outputs, shared = read_base_outputs(settings.base, app)
    host, url = preview_host_and_url(shared)

    # Data: a database in the environment's server, a Redis sidecar, one secret.
    prefix = names.preview_name_prefix(names.stack_name(pulumi.get_project(), settings.base))
    secrets = Secrets(f"{prefix}/{name}", data.secrets_args(settings, key_arn=base_outputs.key_arn))
    preview_data = PreviewData(context, environment_outputs=base_outputs, secrets=secrets, host=host)

    # Image: built here, or one of the repository by its digest.
    image_args = images.app_image_args(app, settings, registry=base_outputs.registry, hooks=free_tag_hook(name))
    image = ContainerImage(f"{name}-app", replace(image_args, tag_prefix=f"{pulumi.get_stack()}-"))

    # Service behind the environment's load balancer, after its database was created and migrated.
    builder = PreviewServiceBuilder(
        context,
        environment_outputs=base_outputs,
        shared=shared,
        data=preview_data,
        images=ProcessImages(context, base_outputs.registry, image.reference, tag_prefix=f"{pulumi.get_stack()}-"),
    )
    capacity_hooks = builder.capacity_hooks()
    preview_service = PreviewService(name, builder.service_args(host, prefix))
    release_runs = builder.create_release_run(preview_service, capacity_hooks)
    service = preview_service.create_service(hooks=capacity_hooks, depends_on=release_runs)

    # Verification of the rollout, on every `up`.
    verify_rollout_on_every_up(
        service,
        cluster_arn=base_outputs.cluster.arn,
        name=service.name,
        task_definition_arn=preview_service.task.arn,
        url=verification_url(base_outputs, url, builder.health.live),
        host=host,
        release=builder.release_name,
        settle_seconds=settings.settle_seconds,
    )

    pulumi.export("url", url)
    pulumi.export("imageDigest", image.digest)
    pulumi.export("services", {"web": service.name})
    pulumi.export("logGroups", preview_service.log_groups)
    pulumi.export("exec", settings.exec_enabled)
    pulumi.export("preview", {"base": settings.base, "cluster": base_outputs.cluster.arn, "host": host})
    web = ProcessOutputs(preview_service.task, shared.security_group_id, service.name, service.id)
    return Deployment(
        name=name,
        kind="preview",
        outputs=base_outputs,
        url=url,
        image=image.reference,
        processes={"web": web},
    )

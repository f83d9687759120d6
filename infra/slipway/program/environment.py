"""Creates an environment. Read `create_environment` top to bottom as its architecture."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from slipway.components.alarms import Alarms, HasAlarms
from slipway.components.budget import MonthlyBudget
from slipway.components.certificate import DnsValidatedCertificate
from slipway.components.container_image import ContainerImage
from slipway.components.ecr_repository import EcrRepository
from slipway.components.ecs_cluster import EcsCluster
from slipway.components.existing_vpc import look_up_existing_vpc
from slipway.components.kms_key import KmsKey
from slipway.components.load_balancer import ApplicationLoadBalancer
from slipway.components.outputs import OUTPUT_NAME, EnvironmentOutputs, NetworkOutputs
from slipway.components.secrets import Secrets
from slipway.components.vpc import VpcNetwork
from slipway.config.project import project_root
from slipway.program.cdn import create_public_endpoint
from slipway.program.ci_roles import create_ci_roles
from slipway.program.component_args import data, edge, images, network, operations, services
from slipway.program.configured_secrets import check_configured_secrets
from slipway.program.data_stores import DataStores
from slipway.program.deployment import Deployment
from slipway.program.monitoring import create_monitoring
from slipway.program.off_hours import create_off_hours
from slipway.program.preview_sharing import PreviewSharing, create_preview_shared_resources
from slipway.program.processes import Processes
from slipway.program.stack_context import StackContext
from slipway.program.stack_outputs import export_optional_outputs, export_process_outputs
from slipway.release.alembic_heads import check_heads
from slipway.release.image_tag import free_tag_hook
from slipway.release.pre_deploy_hooks import (
    elastic_ip_quota_hook,
    refuse_to_strand_previews,
    subnets_kept_hook,
    vpc_cidr_unchanged_hook,
)
from slipway.release.preview_guard import PreviewSettings


def create_environment(context: StackContext) -> Deployment:
    """Creates all resources of an environment and returns its outputs.

    Raises:
        SlipwayError: The app has several Alembic heads, or its configured secrets do not fit app.yaml.
    """
    name = context.name
    app = context.app
    settings = context.settings
    check_heads(project_root() / app.source, app.release)
    refuse_to_strand_previews(
        PreviewSettings(
            settings.previews, settings.preview_domain, settings.preview_database_port, settings.preview_limit
        )
    )
    check_configured_secrets(app, settings.configured_secrets())

    # Network, key, image repository, cluster.
    key_arn = KmsKey(name, data.kms_key_args(settings)).key_arn
    network_outputs = _create_network(context, key_arn)
    repository = EcrRepository(name, services.ecr_repository_args(settings, key_arn=key_arn)).outputs
    cluster = EcsCluster(name, services.ecs_cluster_args(settings, key_arn=key_arn)).outputs
    secrets = Secrets(name, data.secrets_args(settings, key_arn=key_arn))

    # Data stores: database, cache, queue and bucket, if the app needs them.
    stores = DataStores(context, network=network_outputs, key_arn=key_arn, secrets=secrets)

    # Certificate, load balancer, web ACL, DNS record and, with the setting cdn, CloudFront.
    certificate = DnsValidatedCertificate(name, edge.certificate_args(settings, name)) if settings.domain else None
    load_balancer = ApplicationLoadBalancer(
        name,
        edge.load_balancer_args(
            settings,
            request_timeout=app.request_timeout,
            network=network_outputs,
            certificate_arn=certificate.arn if certificate else None,
            hooks=subnets_kept_hook(name),
        ),
    )
    origin_header = create_public_endpoint(context, certificate, load_balancer, secrets=secrets, key_arn=key_arn)

    # The app: one image, in the processes of stacks/app.yaml.
    outputs = EnvironmentOutputs(
        network=network_outputs,
        load_balancer=load_balancer.outputs,
        cluster=cluster,
        registry=repository,
        key_arn=key_arn,
        database=stores.database_outputs,
        cache=stores.cache_outputs,
    )
    image = ContainerImage(
        f"{name}-app",
        images.app_image_args(app, settings, registry=repository, hooks=free_tag_hook(name)),
    )
    processes = Processes(
        context, environment_outputs=outputs, image=image.reference, stores=stores, origin_header=origin_header
    )
    off_hours = create_off_hours(context, outputs, processes)

    # Shared resources of this environment's previews.
    previews = PreviewSharing()
    if settings.previews:
        previews = create_preview_shared_resources(
            context,
            environment_outputs=outputs,
            load_balancer_arn=load_balancer.arn,
            stores=stores,
            processes=processes,
        )
        outputs = replace(outputs, previews=previews.outputs)

    processes.verify_rollouts(load_balancer.arn)

    # Alarms, monitoring, budget, roles of the CI pipeline.
    alarm_sources: list[HasAlarms] = [load_balancer, *stores.alarm_sources, *processes.alarm_sources]
    if certificate:
        alarm_sources.append(certificate)
    alarm_sources += [*previews.alarm_sources, *off_hours.alarm_sources]
    alarms = Alarms(
        name,
        operations.alarms_args(
            settings,
            key_arn=key_arn,
            sources=alarm_sources,
            scheduled_task_families=processes.scheduled_task_families | off_hours.families,
            cluster_arn=cluster.arn,
            backup_source_arn=stores.backup_source_arn,
        ),
    )
    monitoring_targets = create_monitoring(
        context,
        environment_outputs=outputs,
        processes=processes,
        stores=stores,
        topic_arn=alarms.topic_arn,
        origin_header=origin_header,
    )
    if settings.monthly_budget_usd:
        MonthlyBudget(name, operations.monthly_budget_args(settings, stack=name, topic_arn=alarms.topic_arn))
    if settings.github_repository:
        ci_targets = processes.ci_targets().merge(off_hours.ci_targets, monitoring_targets, previews.ci_targets)
        roles = create_ci_roles(name, settings, environment_outputs=outputs, targets=ci_targets)
        for output_name, role_arn in roles.items():
            pulumi.export(output_name, role_arn)

    pulumi.export("url", load_balancer.outputs.url)
    export_process_outputs(context, cluster, image, processes)
    export_optional_outputs(settings, certificate, load_balancer.outputs, processes.images)
    pulumi.export("exec", settings.exec_enabled)
    pulumi.export("logGroups", processes.log_groups | off_hours.log_groups)
    pulumi.export(OUTPUT_NAME, outputs.to_output())
    return Deployment(
        name=name,
        kind="environment",
        outputs=outputs,
        url=load_balancer.outputs.url,
        image=image.reference,
        processes=processes.outputs,
        alarms_topic_arn=alarms.topic_arn,
    )


def _create_network(context: StackContext, key_arn: pulumi.Input[str]) -> NetworkOutputs:
    """Creates the VPC, or look up the one that the setting `existingVpc` names."""
    settings = context.settings
    if settings.existing_vpc:
        return look_up_existing_vpc(network.existing_vpc_args(settings.existing_vpc))
    args = network.vpc_network_args(
        settings,
        key_arn=key_arn,
        elastic_ip_hooks=elastic_ip_quota_hook(context.name),
        vpc_hooks=vpc_cidr_unchanged_hook(context.name, settings.vpc_cidr),
    )
    return VpcNetwork(context.name, args).outputs

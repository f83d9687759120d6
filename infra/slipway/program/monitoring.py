"""Creates Prometheus with Alertmanager, and Grafana, if the settings enable them."""

from __future__ import annotations

import pulumi

from slipway.components.cdn import OriginHeader
from slipway.components.ci_targets import CiTargets
from slipway.components.grafana_service import URL_PATH, GrafanaService, GrafanaServiceArgs
from slipway.components.outputs import EnvironmentOutputs
from slipway.components.prometheus_service import PORT, PrometheusService, PrometheusServiceArgs
from slipway.components.service_discovery import ServiceDiscovery, ServiceDiscoveryArgs
from slipway.config import constants
from slipway.program.data_stores import DataStores
from slipway.program.exporters import build_exporter_containers
from slipway.program.kit_images import build_kit_image
from slipway.program.processes import Processes
from slipway.program.stack_context import StackContext
from slipway.release.post_deploy_verification import verify_rollout_on_every_up


def create_monitoring(
    context: StackContext,
    *,
    environment_outputs: EnvironmentOutputs,
    processes: Processes,
    stores: DataStores,
    topic_arn: pulumi.Input[str],
    origin_header: OriginHeader | None = None,
) -> CiTargets:
    """Creates the monitoring of an environment and its previews, verifies its rollouts and exports its addresses.

    Returns its services and task definitions, for the roles of the CI pipeline. Creates nothing without the setting
    `monitoring`, or for an app without a metrics port.
    """
    settings = context.settings
    metrics_port = context.app.metrics_port
    if not settings.monitoring or not metrics_port:
        return CiTargets()
    discovery = _create_discovery(context, environment_outputs) if settings.grafana else None
    prometheus = _create_prometheus(
        context,
        environment_outputs=environment_outputs,
        processes=processes,
        stores=stores,
        topic_arn=topic_arn,
        metrics_port=metrics_port,
        discovery=discovery,
    )
    ci_targets = CiTargets(service_arns=[prometheus.service.id], tasks=[prometheus.task])
    output: dict[str, pulumi.Input[str]] = {}
    log_groups = {"prometheus": prometheus.task.log_group_name}
    if prometheus.workspace_url:
        output["workspace"] = prometheus.workspace_url
    if discovery:
        password = stores.secrets.create_generated_value("grafana").reference()
        grafana = GrafanaService(
            f"{context.name}-grafana",
            GrafanaServiceArgs(
                environment_outputs=environment_outputs,
                image=build_kit_image(context, environment_outputs.registry, "grafana", constants.GRAFANA_IMAGE),
                domain=settings.domain,
                password=password,
                prometheus_host=discovery.host,
                prometheus_security_group_id=prometheus.security_group_id,
                topic_arn=topic_arn,
                origin_header=origin_header,
                architecture=settings.architecture,
                log_retention_days=settings.log_retention_days,
            ),
        )
        verify_rollout_on_every_up(
            grafana.web_service.service,
            cluster_arn=environment_outputs.cluster.arn,
            name=grafana.web_service.service_name,
            task_definition_arn=grafana.web_service.task.arn,
        )
        web_service = grafana.web_service
        ci_targets = ci_targets.merge(CiTargets(service_arns=[web_service.service_arn], tasks=[web_service.task]))
        output["grafana"] = f"https://{settings.domain}{URL_PATH}/"
        output["password"] = password.arn  # the secret's ARN, not the password
        output["prometheus"] = f"http://{discovery.host}:{PORT}"
        log_groups["grafana"] = grafana.web_service.task.log_group_name
    pulumi.export("monitoring", {**output, "logGroups": log_groups})
    return ci_targets


def _create_discovery(context: StackContext, environment_outputs: EnvironmentOutputs) -> ServiceDiscovery:
    """Creates the private DNS name by which Grafana finds Prometheus."""
    return ServiceDiscovery(
        f"{context.name}-discovery",
        ServiceDiscoveryArgs(
            vpc_id=environment_outputs.network.vpc_id, domain=f"{context.name}.internal", service="prometheus"
        ),
    )


def _create_prometheus(
    context: StackContext,
    *,
    environment_outputs: EnvironmentOutputs,
    processes: Processes,
    stores: DataStores,
    topic_arn: pulumi.Input[str],
    metrics_port: int,
    discovery: ServiceDiscovery | None,
) -> PrometheusService:
    settings = context.settings
    registry = environment_outputs.registry
    images = {
        folder: build_kit_image(context, registry, folder, base_image)
        for folder, base_image in constants.MONITORING_IMAGES.items()
    }
    targets = dict(processes.scrape_targets)
    if environment_outputs.previews:
        targets["previews"] = environment_outputs.previews.security_group_id
    prometheus = PrometheusService(
        f"{context.name}-prometheus",
        PrometheusServiceArgs(
            stack=context.name,
            environment_outputs=environment_outputs,
            image=images["prometheus"],
            alertmanager_image=images["alertmanager"],
            targets=targets,
            exporters=build_exporter_containers(context, registry=registry, stores=stores),
            port=metrics_port,
            topic_arn=topic_arn,
            service_registry_arn=discovery.service_registry_arn if discovery else None,
            retention_days=settings.metrics_retention_days,
            managed=settings.managed_prometheus,
            protect=settings.protect,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
        ),
    )
    verify_rollout_on_every_up(
        prometheus.service,
        cluster_arn=environment_outputs.cluster.arn,
        name=prometheus.service.name,
        task_definition_arn=prometheus.task.arn,
    )
    return prometheus

"""What watches an environment, where it is asked for: Prometheus, Alertmanager, Grafana."""

from __future__ import annotations

import pulumi

from infra import contract
from infra.app import App
from infra.components.discovery import Discovery, DiscoveryArgs
from infra.components.grafana import PATH, Grafana, GrafanaArgs
from infra.components.image import Image, ImageArgs
from infra.components.prometheus import PORT, Prometheus, PrometheusArgs
from infra.exporters import exporters
from infra.foundation import Foundation
from infra.processes import Processes
from infra.release.image_tag import before_the_image_is_pushed
from infra.release.program import verified_on_every_up
from infra.settings import Settings
from infra.stores import Stores


def monitoring(
    name: str,
    app: App,
    settings: Settings,
    *,
    foundation: Foundation,
    processes: Processes,
    stores: Stores,
    topic_arn: pulumi.Input[str],
) -> Prometheus | None:
    """Watches the environment `name` and the previews on it, and tells the topic; None where nobody wants it."""
    if not settings.monitoring or not app.metrics_port:
        return None
    built = {}
    grafanas = {"grafana": contract.GRAFANA_IMAGE} if settings.grafana else {}
    for folder, base in (contract.MONITORING_IMAGES | grafanas).items():
        hooks = before_the_image_is_pushed(f"{name}-{folder}")
        args = ImageArgs.of_the_kit(folder, base, settings, registry=foundation.registry, hooks=hooks)
        built[folder] = Image(f"{name}-{folder}", args).reference
    targets = processes.measured
    if foundation.previews:
        targets["previews"] = foundation.previews.security_group_id
    found = Discovery(f"{name}-discovery", _of(name, foundation)) if settings.grafana else None
    prometheus = Prometheus(
        f"{name}-prometheus",
        PrometheusArgs(
            stack=name,
            foundation=foundation,
            image=built["prometheus"],
            alertmanager_image=built["alertmanager"],
            targets=targets,
            exporters=exporters(name, settings, foundation=foundation, stores=stores),
            port=app.metrics_port,
            topic_arn=topic_arn,
            registry_arn=found.registry_arn if found else None,
            retention_days=settings.metrics_retention_days,
            managed=settings.managed_prometheus,
            protect=settings.protect,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
        ),
    )
    verified_on_every_up(
        prometheus.service,
        cluster_arn=foundation.cluster.arn,
        name=prometheus.service.name,
        task_definition_arn=prometheus.task.arn,
    )
    addresses: dict[str, pulumi.Input[str]] = {}
    log_groups = {"prometheus": prometheus.task.log_group_name}
    if prometheus.workspace_url:
        addresses["workspace"] = prometheus.workspace_url
    if found:
        password = stores.secrets.generated("grafana").reference()
        grafana = Grafana(
            f"{name}-grafana",
            GrafanaArgs(
                foundation=foundation,
                image=built["grafana"],
                domain=settings.domain,
                password=password,
                prometheus_host=found.host,
                prometheus_security_group_id=prometheus.security_group_id,
                topic_arn=topic_arn,
                architecture=settings.architecture,
                log_retention_days=settings.log_retention_days,
            ),
        )
        addresses |= {
            "grafana": f"https://{settings.domain}{PATH}/",
            "password": password.arn,  # where it is, not what
            "prometheus": f"http://{found.host}:{PORT}",
        }
        log_groups["grafana"] = grafana.web.task.log_group_name
        verified_on_every_up(
            grafana.web.service,
            cluster_arn=foundation.cluster.arn,
            name=grafana.web.service_name,
            task_definition_arn=grafana.web.task.arn,
        )
    pulumi.export("monitoring", {**addresses, "logGroups": log_groups})
    return prometheus


def _of(name: str, foundation: Foundation) -> DiscoveryArgs:
    return DiscoveryArgs(foundation.network.vpc_id, f"{name}.internal", "prometheus")

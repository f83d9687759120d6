"""Exports an environment's stack outputs: those of its processes, and those that only some environments have."""

from __future__ import annotations

import pulumi

from slipway.components.certificate import DnsValidatedCertificate
from slipway.components.container_image import ContainerImage
from slipway.components.outputs import ClusterOutputs, LoadBalancerOutputs
from slipway.config.settings import Settings
from slipway.program.process_images import ProcessImages
from slipway.program.processes import Processes
from slipway.program.stack_context import StackContext


def export_process_outputs(
    context: StackContext, cluster: ClusterOutputs, image: ContainerImage, processes: Processes
) -> None:
    """Exports what the commands of the `slipway` program need of the processes."""
    pulumi.export("health", {"live": context.app.health.live, "ready": context.app.health.ready})
    pulumi.export("imageDigest", image.digest)
    pulumi.export("cluster", cluster.name)
    pulumi.export("services", processes.service_names)
    pulumi.export("release", processes.release_task_output)
    pulumi.export("tasks", processes.startable_tasks_output)
    pulumi.export("connect", processes.connect_output)


def export_optional_outputs(
    settings: Settings,
    certificate: DnsValidatedCertificate | None,
    load_balancer: LoadBalancerOutputs,
    images: ProcessImages,
) -> None:
    """Exports the records of a domain whose DNS is elsewhere, whether the load balancer is internal, own images."""
    if settings.external_dns and certificate:
        domain_record = {"type": "CNAME", "name": settings.domain, "value": load_balancer.dns_name}
        pulumi.export("dnsRecords", [certificate.validation_record, domain_record])
    if settings.internal:
        pulumi.export("internal", True)
    if images.own:
        pulumi.export("processImages", images.digests)

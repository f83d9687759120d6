"""The program: one environment of Slipway, read top to bottom as its architecture."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra import contract
from infra.components.cluster import Cluster, ClusterArgs
from infra.components.image import Image, ImageArgs
from infra.components.load_balancer import LoadBalancer, LoadBalancerArgs
from infra.components.network import Network, NetworkArgs
from infra.components.registry import Registry, RegistryArgs
from infra.components.web import Web, WebArgs
from infra.settings import Settings

settings = Settings.from_pulumi()
name = f"slipway-{settings.environment}"

network = Network(name, NetworkArgs(cidr=settings.vpc_cidr, zones=settings.zones, nat=settings.nat_gateways))
registry = Registry(name, RegistryArgs(force_delete=settings.environment in ("local", "dev")))
image = Image(
    name,
    ImageArgs(
        registry=registry,
        context=Path(__file__).resolve().parents[1],
        dockerfile=Path("docker/app/Dockerfile"),
        sources=["app", "docker/app", "pyproject.toml", "uv.lock"],
        base_image=settings.base_image,
        architecture=settings.architecture,
        network=settings.build_network,
    ),
)
cluster = Cluster(name, ClusterArgs())
load_balancer = LoadBalancer(name, LoadBalancerArgs(network=network))
web = Web(
    name,
    WebArgs(
        network=network,
        load_balancer=load_balancer,
        cluster=cluster,
        registry=registry,
        image=image.reference,
        environment=contract.web_environment(
            settings.environment, cpu=settings.web_cpu, trusted_proxies=network.public_cidrs
        ),
        cpu=settings.web_cpu,
        memory=settings.web_memory,
        architecture=settings.architecture,
        tasks=settings.web_tasks,
        log_retention_days=settings.log_retention_days,
    ),
)

pulumi.export("url", load_balancer.url)
pulumi.export("imageDigest", image.digest)
pulumi.export("cluster", cluster.name)
pulumi.export("service", web.service_name)
pulumi.export("taskDefinition", web.task_definition_arn)
pulumi.export("logGroup", web.log_group_name)

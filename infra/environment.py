"""An environment, read top to bottom as its architecture: it owns all that a service stands on."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from infra.app import App
from infra.components.alarms import Alarms, AlarmsArgs, Watched
from infra.components.budget import Budget, BudgetArgs
from infra.components.certificate import Certificate, CertificateArgs
from infra.components.cluster import Cluster, ClusterArgs
from infra.components.dns import Dns, DnsArgs
from infra.components.encryption import Encryption, EncryptionArgs
from infra.components.existing_network import existing_network
from infra.components.image import Image, ImageArgs
from infra.components.load_balancer import LoadBalancer, LoadBalancerArgs
from infra.components.network import Network, NetworkArgs
from infra.components.registry import Registry, RegistryArgs
from infra.components.secrets import Secrets, SecretsArgs
from infra.components.waf import Waf, WafArgs
from infra.deployers import roles_of_the_pipeline
from infra.foundation import OUTPUT, Foundation
from infra.ground import ground_of_previews
from infra.monitoring import monitoring
from infra.processes import Processes
from infra.release.gate import range_stays, room_for_addresses
from infra.release.image_tag import before_the_image_is_pushed
from infra.release.revisions import check_heads
from infra.settings import ROOT, Settings
from infra.stores import Stores


def environment(name: str, settings: Settings, app: App) -> None:
    """Everything of the stack `name`, which is `<project>-<stack>`."""
    check_heads(ROOT / app.source, app.release)

    # What everything else stands on.
    key_arn = Encryption(name, EncryptionArgs.of(settings)).key_arn
    if settings.existing_vpc:
        network = existing_network(settings.existing_vpc)
    else:
        room, stays = room_for_addresses(name), range_stays(name, settings.vpc_cidr)
        network = Network(name, NetworkArgs.of(settings, key_arn=key_arn, address_hooks=room, vpc_hooks=stays)).facts
    registry = Registry(name, RegistryArgs.of(settings, key_arn=key_arn)).facts
    cluster = Cluster(name, ClusterArgs.of(settings, key_arn=key_arn)).facts
    secrets = Secrets(name, SecretsArgs.of(settings, key_arn=key_arn))

    # What holds data: only what the app needs.
    stores = Stores(name, app, settings, network=network, key_arn=key_arn, secrets=secrets)

    # The way in.
    certificate = Certificate(name, CertificateArgs.of(settings)) if settings.domain else None
    certificate_arn = certificate.arn if certificate else None
    door = LoadBalancer(name, LoadBalancerArgs.of(settings, network=network, certificate_arn=certificate_arn))
    if settings.domain:
        Dns(name, DnsArgs.of(settings, load_balancer=door.facts))
    if settings.waf:
        Waf(name, WafArgs.of(settings, load_balancer_arn=door.arn, key_arn=key_arn))

    # The app: one image, in as many processes as stacks/app.yaml has.
    foundation = Foundation(network, door.facts, cluster, registry, key_arn, stores.database_facts, stores.cache_facts)
    free_tag = before_the_image_is_pushed(name)
    image = Image(f"{name}-app", ImageArgs.of_the_app(app, settings, registry=registry, hooks=free_tag))
    processes = Processes(name, app, settings, foundation=foundation, image=image.reference, stores=stores)

    # What previews on it share.
    if settings.previews:
        ground = ground_of_previews(
            name, app, settings, foundation=foundation, balancer_arn=door.arn, stores=stores, processes=processes
        )
        foundation = replace(foundation, previews=ground)

    # Whether what serves is what was asked for: on every `up`.
    processes.look_at_what_serves()

    # Who is told, and who may deploy.
    watched: list[Watched] = [door, *([certificate] if certificate else []), *stores.watched, *processes.watched]
    failing = AlarmsArgs.of(settings, key_arn, watched, processes.one_off, cluster.arn, stores.copied_arn)
    alarms = Alarms(name, failing)
    told = alarms.topic_arn
    monitoring(name, app, settings, foundation=foundation, processes=processes, stores=stores, topic_arn=told)
    if settings.monthly_budget_usd:
        Budget(name, BudgetArgs.of(settings, stack=name, topic_arn=told))
    if settings.github_repository:
        for role, arn in roles_of_the_pipeline(name, settings, foundation=foundation, processes=processes).items():
            pulumi.export(role, arn)

    pulumi.export("url", door.facts.url)
    pulumi.export("health", app.health.model_dump())
    pulumi.export("imageDigest", image.digest)
    pulumi.export("cluster", cluster.name)
    pulumi.export("services", processes.service_names)
    pulumi.export("release", processes.release)
    pulumi.export("logGroups", processes.log_groups)
    pulumi.export(OUTPUT, foundation.plain())

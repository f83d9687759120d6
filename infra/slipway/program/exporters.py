"""Builds the Prometheus exporters of the data stores: one container in its task for each store of the app."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from slipway.components.outputs import RepositoryOutputs, SecretReference
from slipway.components.task_definition import ContainerDefinition
from slipway.config import constants
from slipway.program.data_stores import DataStores
from slipway.program.kit_images import build_kit_image
from slipway.program.stack_context import StackContext

EXPORTER_PORTS = {"database": 9187, "cache": 9121}
"""Store -> port of its exporter in the task: docker/exporter-*."""
EXPORTER_HEALTH_PATHS = {"database": "/", "cache": "/health"}
"""Store -> path of its exporter that answers without a query to the store."""


def build_exporter_containers(
    context: StackContext, *, registry: RepositoryOutputs, stores: DataStores
) -> dict[str, ContainerDefinition]:
    """Returns store -> its exporter. Each has its own login and verifies the server's certificate."""
    exporters: dict[str, ContainerDefinition] = {}
    if stores.database_roles and stores.database_roles.metrics:
        database = stores.values.require_database()
        role = stores.database_roles.metrics
        address = pulumi.Output.format(
            "{0}:{1}/{2}?sslmode=verify-full&sslrootcert={3}",
            database.host,
            database.port,
            database.name,
            database.ca,
        )
        exporters["database"] = _build_exporter(
            context,
            registry,
            "database",
            environment={"DATA_SOURCE_URI": address, "DATA_SOURCE_USER": role.user},
            secrets={"DATA_SOURCE_PASS": role.password},
        )
    if stores.cache:
        cache = stores.values.require_cache()
        exporters["cache"] = _build_exporter(
            context,
            registry,
            "cache",
            environment={
                "REDIS_ADDR": pulumi.Output.format("rediss://{0}:{1}", cache.host, cache.port),
                "REDIS_EXPORTER_TLS_CA_CERT_FILE": cache.ca,
            },
            secrets={"REDIS_PASSWORD": cache.password},
        )
    return exporters


def _build_exporter(
    context: StackContext,
    registry: RepositoryOutputs,
    store: str,
    *,
    environment: Mapping[str, pulumi.Input[str]],
    secrets: Mapping[str, SecretReference],
) -> ContainerDefinition:
    folder = f"exporter-{store}"
    return ContainerDefinition(
        name=folder,
        image=build_kit_image(context, registry, folder, constants.EXPORTER_IMAGES[store], stores=[store]),
        environment=environment,
        secrets=secrets,
        health_check=constants.container_health_check(EXPORTER_PORTS[store], EXPORTER_HEALTH_PATHS[store]),
        essential=False,  # Prometheus and its data outlive an exporter
        has_restart_policy=True,
        scratch=False,
    )

"""Defines the roles of a stack's database, and the container that creates them with the owner's password."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from slipway.components.outputs import SecretReference
from slipway.components.task_definition import ContainerDefinition
from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.program.injected_values import DatabaseValues

DATABASE_ROLES_CONTAINER = "database"
"""Name of the container that creates the database's roles, before the app's release command."""
TLS_ENVIRONMENT = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": constants.DATABASE_CA_PATH}
"""Environment with which psql verifies the server's certificate."""


@dataclass(frozen=True)
class DatabaseRole:
    """A role that logs in with a password."""

    user: str
    password: SecretReference
    verifier: SecretReference
    """SCRAM verifier of the password."""


@dataclass(frozen=True)
class DatabaseRoles:
    """Roles of a stack's database, and the values needed to create them."""

    owner: str
    users: str
    """Role whose members may read and write all tables."""
    readers: str
    """Role whose members may read all tables: people who `slipway connect`."""
    release: str
    """Role of the release task."""
    app: str
    """Role of the processes."""
    master_secret_arn: pulumi.Input[str]
    """Secret in which RDS keeps the owner's name and password as JSON."""
    release_verifier: SecretReference
    app_verifier: SecretReference
    metrics: DatabaseRole | None = None
    """Role of the exporter; None without monitoring."""
    retired: Sequence[str] = ()
    """Roles of retired generations, which lose their right to log in."""


@dataclass(frozen=True)
class OwnerLogin:
    """Address and login with which psql connects as the server's owner."""

    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, SecretReference]


def owner_login(database: DatabaseValues, roles: DatabaseRoles) -> OwnerLogin:
    """Returns the address of the database and the owner's login."""
    return OwnerLogin(
        environment={"PGHOST": database.host, "PGPORT": database.port, "PGDATABASE": database.name},
        secrets={
            "PGUSER": _json_key(roles.master_secret_arn, "username"),
            "PGPASSWORD": _json_key(roles.master_secret_arn, "password"),
        },
    )


def build_database_roles_container(
    app: AppSpec, image: pulumi.Input[str], database: DatabaseValues, roles: DatabaseRoles
) -> ContainerDefinition:
    """Returns the kit's container that creates the database's roles. No code of the app gets the owner's password."""
    login = owner_login(database, roles)
    environment = {
        **login.environment,
        **TLS_ENVIRONMENT,
        "OWNER_ROLE": roles.owner,
        "RELEASE_ROLE": roles.release,
        "USERS_ROLE": roles.users,
        "APP_ROLE": roles.app,
        "RETIRED_ROLES": ",".join(roles.retired),
        "APP_OWNS": "false" if app.release else "true",
    }
    secrets = {**login.secrets, "RELEASE_VERIFIER": roles.release_verifier, "APP_VERIFIER": roles.app_verifier}
    if roles.metrics:
        environment["METRICS_ROLE"] = roles.metrics.user
        secrets["METRICS_VERIFIER"] = roles.metrics.verifier
    return ContainerDefinition(
        name=DATABASE_ROLES_CONTAINER,
        image=image,
        environment=environment,
        secrets=secrets,
        essential=not app.release,
    )


def _json_key(secret_arn: pulumi.Input[str], key: str) -> SecretReference:
    return SecretReference(secret_arn, pulumi.Output.format("{0}:{1}::", secret_arn, key))

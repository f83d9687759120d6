"""From stacks/app.yaml to containers: which variables each process gets, and from where."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pulumi

from infra import contract
from infra.app import GENERATED, SECRET_VALUES, VALUES, App
from infra.components.task import Container
from infra.foundation import SecretValue
from infra.settings import ROOT, Settings

RELEASE = "release"
CACHE_BESIDE = {
    "cache.host": "127.0.0.1",
    "cache.port": str(contract.CACHE_PORT),
    "cache.ca": contract.SYSTEM_CA_PATH,
    "cache.tls": "false",
}
"""A Redis in the app's own task: it shares the task's network, so the loopback address is the way, without TLS."""
DATABASE_STEP = "database"
"""The container that makes the database's roles, before the app's release command."""


@dataclass(frozen=True)
class Values:
    """The kit's values of a stack, by their names in app.VALUES."""

    plain: Mapping[str, pulumi.Input[str]]
    secret: Mapping[str, SecretValue]
    """By name; `generated` and configured ones by their variable."""
    region: pulumi.Input[str]
    trusted_proxies: pulumi.Input[str]
    """The load balancer's networks, separated by commas."""
    for_release: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """What the release step gets instead: it logs in as another user of the database ..."""
    secret_for_release: Mapping[str, SecretValue] = field(default_factory=dict)

    def of_the_release(self) -> Values:
        """The values as the release step has them."""
        return replace(
            self, plain={**self.plain, **self.for_release}, secret={**self.secret, **self.secret_for_release}
        )


def container(
    app: App,
    process: str,
    image: pulumi.Input[str],
    values: Values,
    release: pulumi.Input[str],
    rollout: contract.Rollout,
) -> Container:
    """A process's container, or that of the release step where `process` is `release`; it is told `release`."""
    released = process == RELEASE
    values = values.of_the_release() if released else values
    served = app.served.get(process)
    plain, secret = _variables(app, process, values)
    if served:
        plain["FORWARDED_ALLOW_IPS"] = values.trusted_proxies
        plain.setdefault("PORT", str(app.port))
        plain["GRACEFUL_TIMEOUT"] = str(rollout.graceful_timeout)
    metrics_port = app.metrics_port_of(process)
    if metrics_port:
        plain.setdefault("METRICS_PORT", str(metrics_port))
    cpu = app.processes[process].cpu if not released else 0
    plain["RELEASE"] = release
    # Never counted from the host's cores, and not the image's business.
    plain["WEB_CONCURRENCY"] = str(contract.web_concurrency(cpu))
    return Container(
        name=process,
        image=image,
        command=app.release if released else app.processes[process].command,
        environment=plain,
        secrets=secret,
        port=app.port if served else None,
        health_check=contract.health_check(app.port, app.health.live) if served else None,
    )


def stack_values(name: str, settings: Settings, hosts: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """What there is to know of the stack `name`; `hosts` are the names that it answers to."""
    return {
        "stack.project": pulumi.get_project(),
        "stack.name": name,
        "stack.tier": settings.tier,
        "stack.hosts": hosts,
    }


def database_url(
    user: pulumi.Input[str],
    password: pulumi.Input[str],
    host: pulumi.Input[str],
    port: pulumi.Input[str | int],
    name: pulumi.Input[str],
) -> pulumi.Output[str]:
    """Of a database whose server is verified; a secret, for the password is in it."""
    return pulumi.Output.format(
        "postgresql://{0}:{1}@{2}:{3}/{4}?sslmode=verify-full&sslrootcert={5}",
        user,
        password,
        host,
        port,
        name,
        contract.DATABASE_CA_PATH,
    )


def release_of(image: pulumi.Input[str], app: App, settings: Settings) -> pulumi.Output[str]:
    """What the release of an image is called; of one that was given by its digest nobody here knows the sources."""
    revision = "" if settings.pinned else git_revision(app.source)
    return pulumi.Output.from_input(image).apply(lambda reference: release_name(reference, revision))


def release_name(image: str, revision: str) -> str:
    """The git revision of its sources, `-`, the beginning of its digest; without git the digest alone."""
    return f"{revision}-{image.partition('@sha256:')[2][:12]}".strip("-")


@cache
def git_revision(source: str) -> str:
    """The last commit that touched a folder of the repository; empty where git knows none."""
    command = ["git", "log", "-1", "--format=%h", "--abbrev=12", "--", source]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""  # a copy without its history: the digest alone says what it is


def database_step(app: App, image: pulumi.Input[str], values: Values, database: DatabaseStep) -> Container:
    """The kit's container that makes the database's roles: with the owner's password, which no code of the app gets."""
    plain, owner = owner_of_the_database(values, database)
    return Container(
        name=DATABASE_STEP,
        image=image,
        environment={
            **plain,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": contract.DATABASE_CA_PATH,
            "OWNER_ROLE": database.owner,
            "RELEASE_ROLE": database.release,
            "USERS_ROLE": database.users,
            "APP_ROLE": database.app,
            "RETIRED_ROLES": ",".join(database.retired),
            "APP_OWNS": "false" if app.release else "true",
            **({"METRICS_ROLE": database.metrics.user} if database.metrics else {}),
        },
        secrets={
            **owner,
            "RELEASE_VERIFIER": database.release_verifier,
            "APP_VERIFIER": database.app_verifier,
            **({"METRICS_VERIFIER": database.metrics.verifier} if database.metrics else {}),
        },
        essential=not app.release,
    )


def owner_of_the_database(
    values: Values, database: DatabaseStep
) -> tuple[dict[str, pulumi.Input[str]], dict[str, SecretValue]]:
    """Where psql finds the server, and as whom: plain variables, and secret ones."""
    return {
        "PGHOST": values.plain["database.host"],
        "PGPORT": values.plain["database.port"],
        "PGDATABASE": values.plain["database.name"],
    }, {
        "PGUSER": _key(database.master_secret_arn, "username"),
        "PGPASSWORD": _key(database.master_secret_arn, "password"),
    }


@dataclass(frozen=True)
class Login:
    """A role that logs in, and what is known of its password."""

    user: str
    password: SecretValue
    verifier: SecretValue


@dataclass(frozen=True)
class DatabaseStep:
    """The roles of a stack's database, and what has to be known to make them."""

    owner: str
    users: str
    release: str
    app: str
    master_secret_arn: pulumi.Input[str]
    """RDS keeps the owner's name and password in one JSON secret."""
    release_verifier: SecretValue
    app_verifier: SecretValue
    metrics: Login | None = None
    """Who measures it; None where nobody does."""
    retired: Sequence[str] = ()
    """Roles of generations that were ended: they log in no more."""


def _key(secret_arn: pulumi.Input[str], key: str) -> SecretValue:
    return SecretValue(secret_arn, pulumi.Output.format("{0}:{1}::", secret_arn, key))


def _variables(app: App, process: str, values: Values) -> tuple[dict[str, Any], dict[str, SecretValue]]:
    stores = {need.partition(".")[0] for need in app.needs_of(process)}
    plain: dict[str, Any] = {"AWS_REGION": values.region}
    if "database" in stores:
        # What libpq's clients and asyncpg read by themselves: a connection is verified without a line of the app's.
        plain |= {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": values.plain["database.ca"]}
    plain |= app.environment
    secret: dict[str, SecretValue] = {}
    allowed = app.secrets_of(process)
    for name, value in app.variables.items():
        store = VALUES[value]
        if store and store not in stores:
            continue
        if value in GENERATED:
            # There is no former value before the first rotation, nor after it was ended.
            if name in allowed and name in values.secret:
                secret[name] = values.secret[name]
        elif value in SECRET_VALUES:
            secret[name] = values.secret[value]
        else:
            plain[name] = values.plain[value]
    secret |= {name: values.secret[name] for name in app.secrets if name in allowed and name in values.secret}
    return plain, secret

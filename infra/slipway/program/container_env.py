"""Builds the containers of the app's processes with the variables of stacks/app.yaml."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import cache

import pulumi

from slipway.components.outputs import SecretReference
from slipway.components.task_definition import ContainerDefinition
from slipway.config import constants
from slipway.config.app_spec.app import GENERATED_VALUES, INJECTABLE_VALUES, AppSpec
from slipway.config.project import project_root
from slipway.config.settings import Settings
from slipway.program.injected_values import PLAIN_VALUE_GETTERS, SECRET_VALUE_GETTERS, InjectedValues

RELEASE = "release"
"""Name of the release task's container."""


def build_process_container(
    app: AppSpec,
    process: str,
    image: pulumi.Input[str],
    values: InjectedValues,
    release_name: pulumi.Input[str],
    deploy_profile: constants.DeployProfile,
) -> ContainerDefinition:
    """Returns the container of a process, or of the release task if `process` is `release`."""
    if process == RELEASE:
        return _build_release_container(app, image, values, release_name)
    spec = app.processes[process]
    variables = _resolve_variables(app, process, values)
    environment = variables.environment
    is_web = process in app.web_processes
    if is_web:
        environment["FORWARDED_ALLOW_IPS"] = values.trusted_proxies
        environment.setdefault("PORT", str(app.port_of(process)))
        environment["GRACEFUL_TIMEOUT"] = str(deploy_profile.graceful_timeout)
        environment["KEEPALIVE"] = str(constants.keepalive_seconds(app.request_timeout))
        environment["REQUEST_TIMEOUT"] = str(app.request_timeout)
    metrics_port = app.metrics_port_of(process)
    if metrics_port:
        environment.setdefault("METRICS_PORT", str(metrics_port))
    environment["RELEASE"] = release_name
    # The container sees the host's cores, not its task's CPU.
    environment["WEB_CONCURRENCY"] = str(constants.web_concurrency(spec.cpu))
    return ContainerDefinition(
        name=process,
        image=image,
        command=spec.command,
        environment=environment,
        secrets=variables.secrets,
        port=app.port_of(process) if is_web else None,
        health_check=container_check(app, process),
        has_exec=True,
    )


def container_check(app: AppSpec, process: str) -> dict[str, object] | None:
    """Returns the check of a process's container: its own command, a request to a web process, None for another.

    The request has more time than the load balancer's, which takes a task out of service before it is stopped.
    """
    health = app.health_of(process)
    own = app.processes[process].health
    if own and own.command:
        return constants.command_health_check(
            own.command,
            health.start_seconds,
            interval=health.interval,
            timeout=health.timeout,
            retries=health.failures,
        )
    if process not in app.web_processes:
        return None
    return constants.container_health_check(
        app.port_of(process),
        health.live,
        health.start_seconds,
        interval=max(health.interval - 1, constants.CONTAINER_CHECK_INTERVAL_SECONDS),
        timeout=max(2 * health.timeout, constants.CONTAINER_CHECK_TIMEOUT_SECONDS),
        retries=health.failures,
        statuses=health.statuses,
    )


def _build_release_container(
    app: AppSpec, image: pulumi.Input[str], values: InjectedValues, release_name: pulumi.Input[str]
) -> ContainerDefinition:
    variables = _resolve_variables(app, RELEASE, values.for_release_task())
    return ContainerDefinition(
        name=RELEASE,
        image=image,
        command=app.release,
        environment={**variables.environment, "RELEASE": release_name, "WEB_CONCURRENCY": "1"},
        secrets=variables.secrets,
        has_exec=True,
    )


@dataclass
class _Variables:
    environment: dict[str, pulumi.Input[str]] = field(default_factory=dict)
    secrets: dict[str, SecretReference] = field(default_factory=dict)


def _resolve_variables(app: AppSpec, process: str, values: InjectedValues) -> _Variables:
    """Returns the variables of a process: only those of its stores and secrets."""
    stores = {need.partition(".")[0] for need in app.needs_of(process)}
    allowed_secrets = app.secrets_of(process)
    # Two names, because boto3 reads only the second.
    variables = _Variables({"AWS_REGION": values.region, "AWS_DEFAULT_REGION": values.region})
    if "database" in stores:
        # libpq's clients and asyncpg read these, and so verify the server without code in the app.
        variables.environment |= {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": values.require_database().ca}
    variables.environment |= app.environment
    for name, value in app.variables.items():
        store = INJECTABLE_VALUES[value]
        if store and store not in stores:
            continue
        if value in GENERATED_VALUES:
            # A previous value exists only between a rotation and its retirement.
            if name in allowed_secrets and name in values.generated:
                variables.secrets[name] = values.generated[name]
        elif value in SECRET_VALUE_GETTERS:
            variables.secrets[name] = SECRET_VALUE_GETTERS[value](values)
        else:
            variables.environment[name] = PLAIN_VALUE_GETTERS[value](values)
    for name in app.secrets:
        if name in allowed_secrets and name in values.configured:
            variables.secrets[name] = values.configured[name]
    return variables


def resolve_release_name(image: pulumi.Input[str], app: AppSpec, settings: Settings) -> pulumi.Output[str]:
    """Returns the name of an image's release; without a git revision if the image was not built here."""
    revision = "" if settings.pinned else git_revision(app.source)
    return pulumi.Output.from_input(image).apply(lambda reference: format_release_name(reference, revision))


def format_release_name(image: str, revision: str) -> str:
    """Returns `<git revision>-<first 12 digits of the digest>`; the digest alone without a revision."""
    return f"{revision}-{image.partition('@sha256:')[2][:12]}".strip("-")


@cache
def git_revision(source: str) -> str:
    """Returns the last commit, 12 digits, that changed the folder `source`; empty without git."""
    command = ["git", "log", "-1", "--format=%h", "--abbrev=12", "--", source]
    try:
        return subprocess.run(command, cwd=project_root(), capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""

"""Creates the template database of previews: migrated and seeded by their environment, then closed to connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pulumi

from slipway.components.outputs import EnvironmentOutputs, SecretReference, TaskPlacement
from slipway.components.release_task import ReleaseTask, ReleaseTaskArgs
from slipway.components.secrets import SecretBundle
from slipway.components.task_definition import ContainerDefinition
from slipway.config import constants, names
from slipway.config.app_spec.app import DATABASE_URLS, AppSpec
from slipway.program.component_args.services import task_definition_args
from slipway.program.data_stores import DataStores
from slipway.program.database_roles import TLS_ENVIRONMENT, DatabaseRoles, owner_login
from slipway.program.injected_values import (
    DatabaseValues,
    InjectedValues,
    cache_sidecar_url,
    cache_sidecar_values,
    database_urls,
)
from slipway.program.processes import Processes
from slipway.program.stack_context import StackContext
from slipway.release.post_deploy_verification import deregister_old_task_definitions
from slipway.release.pre_deploy_hooks import ReleaseTaskRun, run_release_task_on_change
from slipway.release.standalone_task import ErrorText

ERROR_TEXT: ErrorText = {
    "subject": "The template database of previews",
    "consequence": "The previous one stays, and the services were not changed",
    "fix": "Correct previewSeed of stacks/app.yaml, or set previewData: empty, and run `up` again.",
}
SEED_KEY = "seed"
"""Key of the seed role's password in its secret."""


def create_preview_template_database(
    context: StackContext,
    *,
    environment_outputs: EnvironmentOutputs,
    stores: DataStores,
    processes: Processes,
) -> str:
    """Creates the task that fills the template, runs it when image or seed change, and returns the database's name.

    It runs after the environment's own release task. Its containers run one after the other: the kit creates an empty
    database with the owner's password, the app's release command and its seed fill it as a role without access to any
    other database, and the kit closes it to connections.

    Raises:
        LookupError: The app has a seed and no database, which app.yaml's check refuses.
    """
    if stores.database_roles is None or processes.database_image is None or environment_outputs.database is None:
        raise LookupError("a template database needs the app's database")
    app = context.app.to_preview_spec()
    template = f"{names.postgres_identifier(context.name)}_template"
    seed_role = f"{names.postgres_identifier(context.name)}_seed"
    passwords = stores.secrets.create_passwords("previews-seed", SEED_KEY, values=["cache"])

    kit = _kit_container(
        stores.values.require_database(),
        stores.database_roles,
        processes.database_image,
        template=template,
        seed_role=seed_role,
        verifier=passwords.reference("seedVerifier"),
    )
    values = _template_values(app, stores, passwords, database=f"{template}_next", user=seed_role)
    app_container = processes.build_release_container(app, values)
    containers = [replace(kit, name="open", environment={**kit.environment, "ACTION": "open"})]
    if app.release:
        containers.append(replace(app_container, name="migrate"))
    containers.append(replace(app_container, name="seed", command=app.preview_seed))
    containers.append(replace(kit, name="close", environment={**kit.environment, "ACTION": "close"}))

    task = task_definition_args(
        context,
        environment_outputs,
        containers=_one_after_the_other(containers),
        cpu=constants.RELEASE_CPU,
        memory=constants.RELEASE_MEMORY,
    )
    place = TaskPlacement(environment_outputs.network, environment_outputs.cluster, [environment_outputs.database])
    release_task = ReleaseTask(f"{context.name}-template", ReleaseTaskArgs(place, task))
    processes.template_task = release_task.task
    run = run_release_task_on_change(
        f"{context.name}-template",
        ReleaseTaskRun(
            release_task.task.arn,
            environment_outputs.cluster.arn,
            environment_outputs.network.task_subnet_ids,
            release_task.security_group_id,
            assign_public_ip=environment_outputs.network.has_public_tasks,
            timeout=context.release_timeout_seconds,
            error_text=ERROR_TEXT,
        ),
        processes.capacity_hooks,
        pulumi.ResourceOptions(parent=release_task, depends_on=[*release_task.ready, *processes.release_runs]),
    )
    deregister_old_task_definitions(
        run.urn, cluster_arn=environment_outputs.cluster.arn, task_definition_arn=release_task.task.arn
    )
    return template


def _one_after_the_other(containers: Sequence[ContainerDefinition]) -> list[ContainerDefinition]:
    """Makes each container wait for the success of the previous one; the last one is essential."""
    chain: list[ContainerDefinition] = []
    for container in containers:
        previous = chain[-1].name if chain else ""
        chain.append(replace(container, wait_for_success=previous, essential=container is containers[-1]))
    return chain


def _template_values(
    app: AppSpec, stores: DataStores, passwords: SecretBundle, *, database: str, user: str
) -> InjectedValues:
    """Returns the environment's values with the template as its database, and without access to its cache."""
    environment_database = stores.values.require_database()
    urls = database_urls(
        DATABASE_URLS,
        user=user,
        password=passwords.value(SEED_KEY),
        host=environment_database.host,
        port=environment_database.port,
        name=database,
    )
    urls["cache.url"] = cache_sidecar_url(passwords.value("cache"))
    requested = {name: url for name, url in urls.items() if name in app.variables.values()}
    bundle = stores.secrets.create_from_values("previews-seed-urls", requested) if requested else None
    url_references = {name: bundle.reference(name) for name in requested} if bundle else {}
    return replace(
        stores.values,
        database=replace(
            environment_database,
            name=database,
            user=user,
            password=passwords.reference(SEED_KEY),
            urls={name: url_references[name] for name in DATABASE_URLS if name in url_references},
        ),
        release_database=None,
        cache=cache_sidecar_values(passwords.reference("cache"), url_references.get("cache.url")),
    )


def _kit_container(
    database: DatabaseValues,
    roles: DatabaseRoles,
    image: pulumi.Input[str],
    *,
    template: str,
    seed_role: str,
    verifier: SecretReference,
) -> ContainerDefinition:
    """Returns psql as the owner of the server, without any code of the app."""
    login = owner_login(database, roles)
    script = {"SCRIPT": "template.sql", "TEMPLATE": template, "SEED": seed_role}
    return ContainerDefinition(
        "kit",
        image,
        environment={**login.environment, **TLS_ENVIRONMENT, **script},
        secrets={**login.secrets, "SEED_VERIFIER": verifier},
    )

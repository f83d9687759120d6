"""Creates the release task, which runs once before any process is updated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi

from slipway.components.outputs import EnvironmentOutputs, TaskPlacement
from slipway.components.release_task import ReleaseTask, ReleaseTaskArgs
from slipway.components.task_definition import ContainerDefinition
from slipway.config import constants
from slipway.program.component_args.services import task_definition_args
from slipway.program.container_env import RELEASE, build_process_container
from slipway.program.data_stores import DataStores
from slipway.program.database_roles import DATABASE_ROLES_CONTAINER, build_database_roles_container
from slipway.program.stack_context import StackContext
from slipway.release.alembic_heads import migration_sql_command
from slipway.release.pre_deploy_hooks import ReleaseTaskRun, run_release_task_on_change


def create_release_task(
    context: StackContext,
    environment_outputs: EnvironmentOutputs,
    stores: DataStores,
    *,
    image: pulumi.Input[str],
    database_image: pulumi.Input[str] | None,
    release_name: pulumi.Input[str],
) -> ReleaseTask | None:
    """Creates the task that creates the database's roles and then runs the app's release command.

    None for an app that needs no database and has no release command.
    """
    containers: list[ContainerDefinition] = []
    if stores.database_roles and database_image is not None:
        containers.append(
            build_database_roles_container(
                context.app, database_image, stores.values.require_database(), stores.database_roles
            )
        )
    if context.settings.rollback_to:
        # An older image lacks the database's Alembic revision and has nothing to migrate to.
        containers = [replace(container, essential=True) for container in containers]
    elif context.app.release:
        release = build_process_container(
            context.app, RELEASE, image, stores.values, release_name, context.deploy_profile
        )
        containers.append(replace(release, wait_for_success=DATABASE_ROLES_CONTAINER) if containers else release)
    if not containers:
        return None
    needs = context.app.needs_of(RELEASE)
    place = TaskPlacement(environment_outputs.network, environment_outputs.cluster, environment_outputs.stores(*needs))
    task = task_definition_args(
        context,
        environment_outputs,
        containers=containers,
        cpu=constants.RELEASE_CPU,
        memory=constants.RELEASE_MEMORY,
        statements=stores.statements(RELEASE),
    )
    return ReleaseTask(f"{context.name}-release", ReleaseTaskArgs(place, task))


def run_release_task(
    context: StackContext,
    environment_outputs: EnvironmentOutputs,
    release_task: ReleaseTask | None,
    capacity_hooks: pulumi.ResourceHookBinding,
) -> list[pulumi.Resource]:
    """Runs the release task when its definition changes. Services must depend on the returned resources."""
    if release_task is None:
        return []
    run = ReleaseTaskRun(
        release_task.task.arn,
        environment_outputs.cluster.arn,
        environment_outputs.network.task_subnet_ids,
        release_task.security_group_id,
        assign_public_ip=environment_outputs.network.has_public_tasks,
        timeout=context.release_timeout_seconds,
    )
    opts = pulumi.ResourceOptions(parent=release_task, depends_on=release_task.ready)
    return [run_release_task_on_change(context.name, run, capacity_hooks, opts)]


def release_task_output(
    context: StackContext, environment_outputs: EnvironmentOutputs, release_task: ReleaseTask | None
) -> Mapping[str, Any] | None:
    """Returns the stack output `release`, with which `slipway migrate` runs the task; None without a release task."""
    if release_task is None:
        return None
    plan: Sequence[str] = context.app.release_plan or migration_sql_command(context.app.release)
    return {
        "family": release_task.task.family,
        "taskDefinition": release_task.task.arn,
        "network": {
            "subnets": environment_outputs.network.task_subnet_ids,
            "securityGroups": [release_task.security_group_id],
            "assignPublicIp": environment_outputs.network.has_public_tasks,
        },
        "container": RELEASE,
        "plan": list(plan),
    }

"""Creates what `slipway run` and `slipway connect` start: manual processes, and the step that makes database logins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from slipway.components.one_off_task import OneOffTask, OneOffTaskArgs
from slipway.components.outputs import EnvironmentOutputs, TaskDefinitionOutputs, TaskPlacement
from slipway.components.task_definition import ContainerDefinition
from slipway.program.component_args.services import task_definition_args
from slipway.program.data_stores import DataStores
from slipway.program.database_roles import TLS_ENVIRONMENT, owner_login
from slipway.program.process_outputs import ProcessOutputs
from slipway.program.stack_context import StackContext

CONNECT = "connect"
"""Name of the task that makes and drops the database logins of people, and of its container."""
CONNECT_CPU, CONNECT_MEMORY = 256, 512


class OneOffTasks:
    """The tasks that run when a command starts them. The constructor creates them.

    The manual processes of app.yaml, and the kit's step that makes database logins for people.
    """

    def __init__(
        self,
        context: StackContext,
        environment_outputs: EnvironmentOutputs,
        stores: DataStores,
        *,
        database_image: pulumi.Input[str] | None,
        manual: Mapping[str, OneOffTaskArgs],
    ) -> None:
        self._context = context
        self._environment_outputs = environment_outputs
        self._stores = stores
        self._manual = {name: OneOffTask(f"{context.name}-{name}", args) for name, args in manual.items()}
        self._connect = create_connect_task(context, environment_outputs, stores, database_image)

    @property
    def tasks(self) -> dict[str, TaskDefinitionOutputs]:
        """Returns manual process, or `connect` -> its task definition."""
        access = {CONNECT: self._connect.task} if self._connect else {}
        return {name: manual.task for name, manual in self._manual.items()} | access

    @property
    def processes(self) -> dict[str, ProcessOutputs]:
        """Returns manual process -> its task definition, log group, roles and security group."""
        return {name: ProcessOutputs(manual.task, manual.security_group_id) for name, manual in self._manual.items()}

    @property
    def connect_output(self) -> Mapping[str, Any] | None:
        """Returns the stack output `connect`: the stores, and whose tasks reach them; None where ECS Exec is off."""
        if not self._context.settings.exec_enabled:
            return None
        output: dict[str, Any] = {}
        if self._connect:
            database = self._stores.values.require_database()
            output["database"] = {
                "host": database.host,
                "port": database.port,
                "name": database.name,
                "ca": self._context.settings.database_ca,
                "processes": self._processes_that_need("database"),
                "login": one_off_task_output(
                    self._environment_outputs, self._connect.task, self._connect.security_group_id
                ),
            }
        cache = self._stores.values.cache
        if cache:
            output["cache"] = {
                "host": cache.host,
                "port": cache.port,
                "ca": self._context.settings.cache_ca,
                "processes": self._processes_that_need("cache"),
                "password": cache.password.value_from,
            }
        return output

    def _processes_that_need(self, store: str) -> list[str]:
        """Returns the processes that run all the time and whose security group lets them reach the store."""
        app = self._context.app
        return [name for name in (*app.web_processes, *app.workers) if store in app.needs_of(name)]


def create_connect_task(
    context: StackContext,
    environment_outputs: EnvironmentOutputs,
    stores: DataStores,
    database_image: pulumi.Input[str] | None,
) -> OneOffTask | None:
    """Creates the task with the database owner's password that gives a person a login of their own, and takes it away.

    None without a database, and where ECS Exec is off: a login is of no use without a way to the database.
    """
    roles = stores.database_roles
    if not context.settings.exec_enabled or roles is None or database_image is None:
        return None
    login = owner_login(stores.values.require_database(), roles)
    container = ContainerDefinition(
        name=CONNECT,
        image=database_image,
        environment={
            **login.environment,
            **TLS_ENVIRONMENT,
            "SCRIPT": "connect.sql",
            "OWNER_ROLE": roles.owner,
            "USERS_ROLE": roles.users,
            "READERS_ROLE": roles.readers,
        },
        secrets=login.secrets,
    )
    place = TaskPlacement(
        environment_outputs.network, environment_outputs.cluster, environment_outputs.stores("database")
    )
    task = task_definition_args(
        context,
        environment_outputs,
        containers=[container],
        cpu=CONNECT_CPU,
        memory=CONNECT_MEMORY,
        has_exec=False,
    )
    return OneOffTask(f"{context.name}-{CONNECT}", OneOffTaskArgs(place, "Database logins of people", task))


def one_off_task_output(
    environment_outputs: EnvironmentOutputs, task: TaskDefinitionOutputs, security_group_id: pulumi.Input[str]
) -> Mapping[str, Any]:
    """Returns how a task is started: its definition and network."""
    return {
        "taskDefinition": task.arn,
        "network": {
            "subnets": environment_outputs.network.task_subnet_ids,
            "securityGroups": [security_group_id],
            "assignPublicIp": environment_outputs.network.has_public_tasks,
        },
    }

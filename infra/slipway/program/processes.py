"""Creates the ECS services, scheduled tasks and release task of stacks/app.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi

from slipway.components import otel_collector
from slipway.components.alarms import HasAlarms
from slipway.components.cdn import OriginHeader
from slipway.components.ci_targets import CiTargets
from slipway.components.one_off_task import OneOffTaskArgs
from slipway.components.outputs import EnvironmentOutputs, TaskDefinitionOutputs, TaskPlacement
from slipway.components.scheduled_task import ScheduledTask, ScheduledTaskArgs
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinitionArgs
from slipway.components.web_service import WebService, WebServiceArgs
from slipway.components.worker_service import WorkerService, WorkerServiceArgs
from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.process import ProcessSpec
from slipway.program.component_args.services import health_check_limits, spot_capacity, task_definition_args
from slipway.program.container_env import RELEASE, build_process_container
from slipway.program.data_stores import DataStores
from slipway.program.injected_values import InjectedValues
from slipway.program.kit_images import build_kit_image
from slipway.program.one_off_tasks import OneOffTasks, one_off_task_output
from slipway.program.process_images import ProcessImages
from slipway.program.process_outputs import ProcessOutputs
from slipway.program.release_step import create_release_task, release_task_output, run_release_task
from slipway.program.stack_context import StackContext
from slipway.release.post_deploy_verification import deregister_old_task_definitions, verify_rollout_on_every_up
from slipway.release.pre_deploy_hooks import capacity_hook, health_check_change_hook
from slipway.release.preflight import TaskDemand
from slipway.release.shared_timeouts import SharedTimeout, lower_timeouts, raise_timeouts_hook

ALL_PATHS = ("/*",)
TEMPLATE = "template"
"""Label of the task that fills the template database of previews."""


class Processes:
    """The processes of stacks/app.yaml. The constructor creates them; each is updated after the release task."""

    template_task: TaskDefinitionOutputs | None = None
    """Task that fills the template database of previews; None without one."""

    def __init__(
        self,
        context: StackContext,
        *,
        environment_outputs: EnvironmentOutputs,
        image: pulumi.Input[str],
        stores: DataStores,
        origin_header: OriginHeader | None = None,
    ) -> None:
        self._context = context
        self._origin_header = origin_header
        self._environment_outputs = environment_outputs
        self._stores = stores
        self.images = ProcessImages(context, environment_outputs.registry, image)
        self.database_image = self._build_database_image()
        self._release_task = create_release_task(
            context,
            environment_outputs,
            stores,
            image=image,
            database_image=self.database_image,
            release_name=self.images.app_release,
        )
        self._collector_image = self._build_collector_image()
        self.capacity_hooks = self._create_capacity_hooks()
        self.release_runs = run_release_task(context, environment_outputs, self._release_task, self.capacity_hooks)
        self._queue_timeout = self._share_queue_timeout()
        self._web = {name: self._create_web(name, spec) for name, spec in context.app.web_processes.items()}
        self._workers = {name: self._create_worker(name, spec) for name, spec in context.app.workers.items()}
        self._scheduled = {name: self._create_scheduled(name, spec) for name, spec in context.app.scheduled.items()}
        self._one_off = OneOffTasks(
            context,
            environment_outputs,
            stores,
            database_image=self.database_image,
            manual={
                name: OneOffTaskArgs(self._place(name), f"{name} tasks", self._task_args(name, spec))
                for name, spec in context.app.manual.items()
            },
        )

    @property
    def _services(self) -> Mapping[str, WebService | WorkerService]:
        return {**self._web, **self._workers}

    @property
    def alarm_sources(self) -> list[HasAlarms]:
        """Returns the components that declare alarms."""
        return [*self._web.values(), *self._workers.values(), *self._scheduled.values()]

    @property
    def outputs(self) -> dict[str, ProcessOutputs]:
        """Returns process -> its service, task definition, log group, roles and security group."""
        services = {
            name: ProcessOutputs(service.task, service.security_group_id, service.service_name, service.service_arn)
            for name, service in self._services.items()
        }
        scheduled = {name: ProcessOutputs(task.task, task.security_group_id) for name, task in self._scheduled.items()}
        return services | scheduled | self._one_off.processes

    @property
    def scheduled_task_families(self) -> dict[str, str]:
        """Returns scheduled process -> its task family."""
        return {name: scheduled.task.family for name, scheduled in self._scheduled.items()}

    @property
    def scrape_targets(self) -> dict[str, pulumi.Input[str]]:
        """Returns process with a metrics port -> the security group of its tasks."""
        app = self._context.app
        return {
            name: service.security_group_id for name, service in self._services.items() if app.metrics_port_of(name)
        }

    @property
    def service_names(self) -> dict[str, pulumi.Output[str]]:
        """Returns process -> its ECS service."""
        return {name: service.service_name for name, service in self._services.items()}

    @property
    def log_groups(self) -> dict[str, pulumi.Input[str]]:
        """Returns process, or `release` -> its log group."""
        return {name: task.log_group_name for name, task in self._tasks().items()}

    @property
    def release_task_output(self) -> Mapping[str, Any] | None:
        """Returns the stack output `release`."""
        return release_task_output(self._context, self._environment_outputs, self._release_task)

    @property
    def startable_tasks_output(self) -> Mapping[str, Any]:
        """Return the stack output `tasks`: scheduled or manual process -> how `slipway run` starts its task."""
        one_off = {name: process for name, process in self.outputs.items() if process.service_name is None}
        return {
            name: one_off_task_output(self._environment_outputs, process.task, process.security_group_id)
            for name, process in one_off.items()
        }

    @property
    def connect_output(self) -> Mapping[str, Any] | None:
        """Return the stack output `connect`; None where ECS Exec is off."""
        return self._one_off.connect_output

    def ci_targets(self) -> CiTargets:
        """Returns the services, task definitions and schedules that the roles of the CI pipeline act on."""
        tasks = self._tasks()
        return CiTargets(
            service_arns=[service.service_arn for service in self._services.values()],
            tasks=list(tasks.values()),
            release_tasks=[task for name, task in tasks.items() if name in (RELEASE, TEMPLATE)],
            schedule_arns=[scheduled.schedule_arn for scheduled in self._scheduled.values()],
            scheduler_role_arns=[scheduled.role_arn for scheduled in self._scheduled.values()],
            queue_arns=[self._stores.queue.arn] if self._stores.queue else [],
        )

    def verify_rollouts(self, load_balancer_arn: pulumi.Input[str]) -> None:
        """Verifies every rollout after Pulumi has applied its changes; an error in one fails the update.

        For a service of all paths it also sends a request through the load balancer, to the path of the liveness check.
        Those of certain paths get requests after it, and time-outs that old and new tasks share get shorter after it.
        """
        rollouts: list[pulumi.Output[str]] = []
        cluster_arn = self._environment_outputs.cluster.arn
        app = self._context.app
        live_path = next(
            (app.health_of(name).live for name, web in app.web_processes.items() if web.paths == ALL_PATHS), ""
        )
        live_url = pulumi.Output.from_input(self._environment_outputs.load_balancer.url).apply(
            lambda url: url.rstrip("/") + live_path
        )
        for name, service in self._services.items():
            serves_all_paths = name in self._web and app.web_processes[name].paths == ALL_PATHS
            job_seconds = app.job_timeout + constants.JOB_KILL_GRACE_SECONDS
            rollout = verify_rollout_on_every_up(
                service.service,
                cluster_arn=cluster_arn,
                name=service.service_name,
                task_definition_arn=service.task.arn,
                url=live_url if serves_all_paths and not self._context.settings.internal else None,
                release=self.images.release_of(name),
                max_protected_seconds=job_seconds if name in self._workers else 0,
                settle_seconds=self._context.settings.settle_seconds,
                task_counts=(app.processes[name].tasks, app.processes[name].effective_max_tasks),
            )
            rollouts.append(rollout)
        for service in self._web.values():
            service.route_requests(rollouts)
        delay = self._context.deploy_profile.deregistration_delay
        timeouts = [SharedTimeout(service.target_group_arn, delay) for service in self._web.values()]
        timeouts.append(SharedTimeout(load_balancer_arn, app.request_timeout))
        lower_timeouts([*timeouts, self._queue_timeout] if self._queue_timeout else timeouts, rollouts)
        for scheduled in self._scheduled.values():
            deregister_old_task_definitions(
                scheduled.schedule_arn, cluster_arn=cluster_arn, task_definition_arn=scheduled.task.arn
            )
        for task in self._one_off.tasks.values():
            deregister_old_task_definitions(task.arn, cluster_arn=cluster_arn, task_definition_arn=task.arn)
        if self._release_task:
            for run in self.release_runs:
                deregister_old_task_definitions(
                    run.urn, cluster_arn=cluster_arn, task_definition_arn=self._release_task.task.arn
                )

    def build_release_container(self, app: AppSpec, values: InjectedValues) -> ContainerDefinition:
        """Returns the container of the release command, with `values` instead of the stack's own."""
        return build_process_container(
            app, RELEASE, self.images.app_image, values, self.images.app_release, self._context.deploy_profile
        )

    def _tasks(self) -> dict[str, TaskDefinitionOutputs]:
        tasks = {name: process.task for name, process in self.outputs.items()} | self._one_off.tasks
        if self._release_task:
            tasks[RELEASE] = self._release_task.task
        if self.template_task:
            tasks[TEMPLATE] = self.template_task
        return tasks

    def _build_database_image(self) -> pulumi.Output[str] | None:
        """Builds the kit's psql image, which creates the database's roles."""
        if not self._stores.database_roles:
            return None
        base_image = f"postgres:{self._context.settings.database_version}-alpine"
        registry = self._environment_outputs.registry
        return build_kit_image(self._context, registry, "database", base_image, stores=["database"])

    def _build_collector_image(self) -> pulumi.Output[str] | None:
        if not self._context.settings.tracing:
            return None
        registry = self._environment_outputs.registry
        return build_kit_image(self._context, registry, otel_collector.CONTAINER_NAME, constants.COLLECTOR_IMAGE)

    def _create_capacity_hooks(self) -> pulumi.ResourceHookBinding:
        """Creates the hooks that check images and the account's vCPU quota before any service changes."""
        app = self._context.app
        demand = [task for spec in (app.web_processes | app.workers).values() for task in TaskDemand.of(spec)]
        if self._release_task:
            demand.append(TaskDemand(constants.RELEASE_CPU, 1))
        images = [self.images.app_image, *self.images.own.values(), self.database_image, self._collector_image]
        return capacity_hook(
            self._context.name,
            images=[image for image in images if image is not None],
            architecture=self._context.settings.architecture,
            tasks=demand,
            cluster_arn=self._environment_outputs.cluster.arn,
            retired_users=self._stores.database_roles.retired if self._stores.database_roles else (),
        )

    def _share_queue_timeout(self) -> SharedTimeout | None:
        if self._stores.queue is None:
            return None
        seconds = constants.visibility_timeout_seconds(self._context.app.job_timeout)
        return SharedTimeout(self._stores.queue.url, seconds)

    def _service_order(self, name: str) -> tuple[pulumi.ResourceHookBinding, list[pulumi.Resource]]:
        """Returns the hooks of a service, and what it depends on: the release run, and the queue that it uses."""
        uses_queue = any(need.partition(".")[0] == "queue" for need in self._context.app.needs_of(name))
        raise_timeouts = raise_timeouts_hook(
            f"{self._context.name}-{name}-timeouts",
            deregistration_delay=self._context.deploy_profile.deregistration_delay,
            queue=self._queue_timeout if uses_queue else None,
        )
        hooks = pulumi.ResourceHookBinding.merge(self.capacity_hooks, raise_timeouts)
        queue = [self._stores.queue] if self._stores.queue and uses_queue else []
        return hooks or self.capacity_hooks, [*self.release_runs, *queue]

    def _place(self, process: str) -> TaskPlacement:
        needs = self._context.app.needs_of(process)
        outputs = self._environment_outputs
        return TaskPlacement(outputs.network, outputs.cluster, outputs.stores(*needs))

    def _task_args(self, name: str, spec: ProcessSpec) -> FargateTaskDefinitionArgs:
        """Returns the task of a process; that of a service has a trace collector if tracing is enabled."""
        container = build_process_container(
            self._context.app,
            name,
            self.images.image_of(name),
            self._stores.values,
            self.images.release_of(name),
            self._context.deploy_profile,
        )
        containers = [container]
        statements = self._stores.statements(name)
        if self._collector_image is not None and not spec.is_one_off:
            containers = otel_collector.add_trace_collector(
                container, self._collector_image, self._stores.values.region, f"{self._context.name}-{name}"
            )
            statements = [*statements, *otel_collector.XRAY_STATEMENTS]
        return task_definition_args(
            self._context,
            self._environment_outputs,
            containers=containers,
            cpu=spec.cpu,
            memory=spec.memory,
            statements=statements,
        )

    def _create_web(self, name: str, spec: ProcessSpec) -> WebService:
        app = self._context.app
        hooks, depends_on = self._service_order(name)
        priority = self._rule_priority(name, spec)
        args = WebServiceArgs(
            place=self._place(name),
            load_balancer=self._environment_outputs.load_balancer,
            label=name,
            task=self._task_args(name, spec),
            health_path=app.health_of(name).ready,
            health_limits=health_check_limits(app.health_of(name)),
            start_seconds=app.health_of(name).start_seconds,
            priority=priority,
            attachment_priority=None if spec.paths == ALL_PATHS else priority + constants.ATTACHMENT_PRIORITY_OFFSET,
            paths=spec.paths,
            origin_header=self._origin_header,
            ignore_deregistration_delay=True,
            rollout=self._context.deploy_profile,
            tasks=spec.tasks,
            max_tasks=spec.effective_max_tasks,
            metrics_port=app.metrics_port_of(name),
            spot=spot_capacity(spec),
            hooks=hooks,
            target_group_hooks=self._health_check_change_hook(name, spec),
            depends_on=depends_on,
        )
        return WebService(f"{self._context.name}-{name}", args)

    def _health_check_change_hook(self, name: str, spec: ProcessSpec) -> pulumi.ResourceHookBinding | None:
        """Returns the hooks that ask the running tasks for a new health check; an internal one cannot be asked."""
        if self._context.settings.internal:
            return None
        return health_check_change_hook(
            f"{self._context.name}-{name}",
            label=name,
            url=self._environment_outputs.load_balancer.url,
            paths=spec.paths,
        )

    def _rule_priority(self, name: str, spec: ProcessSpec) -> int:
        """Returns the priority of a listener rule: all paths last, the others in the order of app.yaml."""
        if spec.paths == ALL_PATHS:
            return constants.LAST_RULE_PRIORITY
        return constants.FIRST_RULE_PRIORITY + list(self._context.app.web_processes).index(name)

    def _create_worker(self, name: str, spec: ProcessSpec) -> WorkerService:
        task = self._task_args(name, spec)
        hooks, depends_on = self._service_order(name)
        # A job may last longer than a request: its task sets ECS task protection, and has the maximum stop time-out.
        protect_task = {
            "Effect": "Allow",
            "Action": ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"],
            "Resource": pulumi.Output.format("{0}/*", self._environment_outputs.cluster.task_arn_prefix()),
        }
        args = WorkerServiceArgs(
            place=self._place(name),
            label=name,
            task=replace(
                task, statements=[*task.statements, protect_task], stop_timeout=constants.MAX_STOP_TIMEOUT_SECONDS
            ),
            tasks=spec.tasks,
            max_tasks=spec.effective_max_tasks,
            queue_name=self._stores.queue.name if self._stores.queue else "",
            metrics_port=self._context.app.metrics_port_of(name),
            spot=spot_capacity(spec),
            hooks=hooks,
            depends_on=depends_on,
        )
        return WorkerService(f"{self._context.name}-{name}", args)

    def _create_scheduled(self, name: str, spec: ProcessSpec) -> ScheduledTask:
        args = ScheduledTaskArgs(
            place=self._place(name),
            label=name,
            task=self._task_args(name, spec),
            schedule=spec.schedule,
            hooks=self.capacity_hooks,
            depends_on=self.release_runs,
        )
        return ScheduledTask(f"{self._context.name}-{name}", args)

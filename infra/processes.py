"""The app's processes on their foundation: what serves, what works, what runs by the clock, and the release step."""

from __future__ import annotations

from typing import Any

import pulumi

from infra import contract
from infra.app import App
from infra.app_process import Process
from infra.components import collector
from infra.components.alarms import Watched
from infra.components.image import Image, ImageArgs
from infra.components.release_step import ReleaseStep, ReleaseStepArgs
from infra.components.scheduled import Scheduled, ScheduledArgs
from infra.components.task import Container, TaskArgs
from infra.components.web import Web, WebArgs
from infra.components.worker import Worker, WorkerArgs
from infra.containers import DATABASE_STEP, RELEASE, Values, container, database_step, release_of
from infra.foundation import Foundation, Place, TaskFacts
from infra.release.capacity import Tasks
from infra.release.gate import Step, migrated, room_for
from infra.release.image_tag import before_the_image_is_pushed
from infra.release.program import oldest_revisions_go, verified_on_every_up
from infra.release.revisions import plan
from infra.settings import Settings
from infra.stores import Stores


class Processes:
    """The processes of stacks/app.yaml, made as it is constructed; new code waits for the release step in each."""

    def __init__(
        self,
        name: str,
        app: App,
        settings: Settings,
        *,
        foundation: Foundation,
        image: pulumi.Input[str],
        stores: Stores,
    ) -> None:
        self._name, self._app, self._settings = name, app, settings
        self._foundation, self._image, self._stores = foundation, image, stores
        self.database_image: pulumi.Output[str] | None = None
        self.template: TaskFacts | None = None
        """Of the task that fills the database which previews' are copies of."""
        self._rollout = contract.ROLLOUTS[settings.deploy_profile]
        self._called = release_of(image, app, settings)
        self._images = [image]
        self._release = self._make_release()
        self._collector = self._make_collector() if settings.tracing else None
        self.room = self._room()
        # What runs the app's code waits for the database to be as that code expects it.
        self.after = [self._migrated(self._release, self.room)] if self._release else []
        self.web = {label: self._make_web(label, process) for label, process in app.served.items()}
        self.workers = {label: self._make_worker(label, process) for label, process in app.workers.items()}
        self.scheduled = {label: self._make_scheduled(label, process) for label, process in app.scheduled.items()}

    def look_at_what_serves(self) -> None:
        """Follow each rollout to its end, and ask what is behind the load balancer by its door; wrong is an error."""
        door = pulumi.Output.from_input(self._foundation.load_balancer.url)
        live = door.apply(lambda url: url.rstrip("/") + self._app.health.live)
        for label, made in (self.web | self.workers).items():
            everything = label in self.web and self._app.served[label].paths == ("/*",)
            verified_on_every_up(
                made.service,
                cluster_arn=self._foundation.cluster.arn,
                name=made.service_name,
                task_definition_arn=made.task.arn,
                url=live if everything else None,
                release=self._called,
                longest_job=self._app.job_timeout + contract.JOB_KILL_SECONDS if label in self.workers else 0,
            )
        one_off = [(made.task, made.schedule_arn) for made in self.scheduled.values()]
        if self._release:
            one_off += [(self._release.task, done.urn) for done in self.after]
        for task, taken_up in one_off:
            oldest_revisions_go(taken_up, cluster_arn=self._foundation.cluster.arn, task_definition_arn=task.arn)

    @property
    def watched(self) -> list[Watched]:
        """What has alarms."""
        return [*self.web.values(), *self.workers.values(), *self.scheduled.values()]

    @property
    def one_off(self) -> dict[str, str]:
        """Process that runs by the clock -> the family of its tasks."""
        return {label: scheduled.task.family for label, scheduled in self.scheduled.items()}

    @property
    def measured(self) -> dict[str, pulumi.Input[str]]:
        """Process that answers Prometheus -> the security group of its tasks."""
        running = self.web | self.workers
        return {label: made.security_group_id for label, made in running.items() if self._app.metrics_port_of(label)}

    @property
    def service_names(self) -> dict[str, pulumi.Output[str]]:
        """Process -> its ECS service."""
        return {label: service.service_name for label, service in (self.web | self.workers).items()}

    @property
    def release(self) -> dict[str, Any] | None:
        """What the release step is run with, for `slipway migrate`; None where there is none."""
        if not self._release:
            return None
        network = {
            "subnets": self._foundation.network.private_subnet_ids,
            "securityGroups": [self._release.security_group_id],
        }
        shown = list(self._app.release_plan) or plan(self._app.release)
        return {"family": self._release.task.family, "network": network, "container": RELEASE, "plan": shown}

    @property
    def log_groups(self) -> dict[str, pulumi.Input[str]]:
        """Process, or `release` -> its log group."""
        return {label: task.log_group_name for label, task in self._tasks().items()}

    def for_readers(self) -> dict[str, Any]:
        """What the pipeline's readers may see, as arguments of `PipelineReadersArgs`."""
        return {
            "service_arns": [service.service_arn for service in (self.web | self.workers).values()],
            "tasks": list(self._tasks().values()),
        }

    def for_the_pipeline(self) -> dict[str, Any]:
        """What the deploy pipeline's role has to be allowed, as arguments of `PipelineRoleArgs`."""
        return self.for_readers() | {
            "releases": [task for label, task in self._tasks().items() if label in (RELEASE, "template")],
            "schedule_arns": [scheduled.schedule_arn for scheduled in self.scheduled.values()],
            "scheduler_role_arns": [scheduled.role_arn for scheduled in self.scheduled.values()],
        }

    def _tasks(self) -> dict[str, TaskFacts]:
        made: dict[str, Any] = self.web | self.workers | self.scheduled
        tasks: dict[str, TaskFacts] = {label: process.task for label, process in made.items()}
        tasks |= {RELEASE: self._release.task} if self._release else {}
        return tasks | ({"template": self.template} if self.template else {})

    def one_off_container(self, app: App, values: Values) -> Container:
        """The image of the app with its release command, and with these `values` instead of the stack's own."""
        return container(app, RELEASE, self._image, values, self._called, self._rollout)

    def _place(self, process: str) -> Place:
        needs = self._app.needs_of(process)
        return Place(self._foundation.network, self._foundation.cluster, self._foundation.stores(*needs))

    def _task(self, label: str, process: Process) -> TaskArgs:
        made = container(self._app, label, self._image, self._stores.values, self._called, self._rollout)
        task = self._task_of(label, [made], process.cpu, process.memory)
        if self._collector is None or label in self._app.scheduled:
            return task
        both = collector.traced(made, self._collector, self._stores.values.region, f"{self._name}-{label}")
        return task.but(containers=both, statements=[*task.statements, *collector.STATEMENTS])

    def _task_of(self, label: str, containers: list[Container], cpu: int, memory: int) -> TaskArgs:
        may = self._stores.statements(label)
        more = {"containers": containers, "statements": may, "cpu": cpu, "memory": memory}
        return TaskArgs.of(self._settings, self._foundation, self._rollout, **more)

    def _make_release(self) -> ReleaseStep | None:
        containers = []
        if self._stores.database_step:
            hooks = before_the_image_is_pushed(f"{self._name}-database")
            args = ImageArgs.of_the_database_step(self._settings, registry=self._foundation.registry, hooks=hooks)
            step = Image(f"{self._name}-database", args)
            self._images.append(step.reference)
            self.database_image = step.reference
            made = database_step(self._app, step.reference, self._stores.values, self._stores.database_step)
            containers.append(made)
        # A former image does not know the revision that the database is at by now, and has nothing to migrate to.
        if self._settings.rollback_to:
            containers = [step.but(essential=True) for step in containers]
        elif self._app.release:
            made = container(self._app, RELEASE, self._image, self._stores.values, self._called, self._rollout)
            containers.append(made.but(after=DATABASE_STEP) if containers else made)
        if not containers:
            return None
        task = self._task_of(RELEASE, containers, contract.RELEASE_CPU, contract.RELEASE_MEMORY)
        return ReleaseStep(f"{self._name}-release", ReleaseStepArgs(self._place(RELEASE), task))

    def _make_collector(self) -> pulumi.Output[str]:
        folder, base = collector.NAME, contract.COLLECTOR_IMAGE
        hooks = before_the_image_is_pushed(f"{self._name}-{folder}")
        registry = self._foundation.registry
        made = Image(
            f"{self._name}-{folder}", ImageArgs.of_the_kit(folder, base, self._settings, registry=registry, hooks=hooks)
        )
        self._images.append(made.reference)
        return made.reference

    def _room(self) -> pulumi.ResourceHookBinding:
        running = [tasks for each in (self._app.served | self._app.workers).values() for tasks in Tasks.of(each)]
        return room_for(
            self._name,
            images=self._images,
            architecture=self._settings.architecture,
            tasks=[*running, *([Tasks(contract.RELEASE_CPU, 1)] if self._release else [])],
            cluster_arn=self._foundation.cluster.arn,
        )

    def _migrated(self, release: ReleaseStep, room: pulumi.ResourceHookBinding) -> pulumi.Resource:
        step = Step(
            release.task.arn,
            self._foundation.cluster.arn,
            self._foundation.network.private_subnet_ids,
            release.security_group_id,
            timeout=self._settings.release_timeout_minutes * 60,
        )
        return migrated(self._name, step, room, pulumi.ResourceOptions(parent=release, depends_on=release.ready))

    def _make_web(self, label: str, process: Process) -> Web:
        everything = process.paths == ("/*",)
        priority = (
            contract.LAST_PRIORITY if everything else contract.FIRST_PRIORITY + list(self._app.served).index(label)
        )
        args = WebArgs(
            place=self._place(label),
            load_balancer=self._foundation.load_balancer,
            label=label,
            task=self._task(label, process),
            health_path=self._app.health.ready,
            priority=priority,
            paths=process.paths,
            rollout=self._rollout,
            tasks=process.tasks,
            max_tasks=process.most_tasks,
            metrics_port=self._app.metrics_port_of(label),
            spot=process.on_spot,
            hooks=self.room,
            after=self.after,
        )
        return Web(f"{self._name}-{label}", args)

    def _make_worker(self, label: str, process: Process) -> Worker:
        task = self._task(label, process)
        # A job outlives what a request may take: its task asks not to be scaled in, and is given ECS's longest stop.
        protect = {
            "Effect": "Allow",
            "Action": ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"],
            "Resource": pulumi.Output.format("{0}/*", self._foundation.cluster.task_arns()),
        }
        args = WorkerArgs(
            place=self._place(label),
            label=label,
            task=task.but(statements=[*task.statements, protect], stop_timeout=contract.LONGEST_STOP_SECONDS),
            tasks=process.tasks,
            max_tasks=process.most_tasks,
            queue_name=self._stores.queue.name if self._stores.queue else "",
            metrics_port=self._app.metrics_port_of(label),
            spot=process.on_spot,
            hooks=self.room,
            after=self.after,
        )
        return Worker(f"{self._name}-{label}", args)

    def _make_scheduled(self, label: str, process: Process) -> Scheduled:
        args = ScheduledArgs(
            place=self._place(label),
            label=label,
            task=self._task(label, process),
            schedule=process.schedule,
            hooks=self.room,
            after=self.after,
        )
        return Scheduled(f"{self._name}-{label}", args)

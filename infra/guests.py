"""What a preview asks of its environment, and the service that it makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pulumi

from infra import contract, naming
from infra.app import App
from infra.borrowed import Borrowed
from infra.components.guest import Guest, GuestArgs
from infra.components.task import Container, TaskArgs
from infra.containers import RELEASE, container, release_of
from infra.errors import SlipwayError
from infra.foundation import OUTPUT, Foundation, Place, PreviewFacts
from infra.release import preview_database
from infra.release.capacity import Tasks
from infra.release.gate import Step, migrated, room_for
from infra.settings import Settings


def foundation_of(base: str, app: App) -> tuple[Foundation, PreviewFacts]:
    """What the environment `base` has exported; each fact is an output. Raises `SlipwayError` where there is none."""
    if not base:
        raise SlipwayError("kind is preview and base is empty.", "slipway preview create NAME --base STACK")
    stack = pulumi.StackReference(f"{pulumi.get_organization()}/{pulumi.get_project()}/{base}")
    given = stack.require_output(OUTPUT).apply(lambda facts: _bearing(base, facts))
    parts = {"previews"} | (app.stores & {"database"})
    foundation = Foundation.of(given, parts)
    shared = foundation.previews
    if shared is None:
        raise AssertionError("it was asked for")
    return foundation, shared


def _bearing(base: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    if "previews" not in facts:
        raise pulumi.RunError(
            f"The environment {base} bears no previews. pulumi config set previews true --stack {base}, then up"
        )
    return facts


def host_and_url(shared: PreviewFacts) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """The name that this preview answers to, and its address with scheme and port of the door that it is behind."""
    host = pulumi.Output.format("{0}.{1}", pulumi.get_stack(), shared.domain)
    return host, pulumi.Output.all(shared.url, host).apply(lambda both: _address(*both))


def _address(door: str, host: str) -> str:
    parts = urlsplit(door)
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}/"


def front_door(foundation: Foundation, url: pulumi.Output[str], live: str) -> pulumi.Output[str]:
    """Where to ask whether it serves: without a domain of their own, names of previews lead nowhere by themselves."""
    door = pulumi.Output.from_input(foundation.load_balancer.url)
    return pulumi.Output.all(door, url).apply(
        lambda both: (both[1] if both[1].startswith("https:") else both[0]).rstrip("/") + live
    )


class Guests:
    """The containers of a preview, and the service's inputs."""

    def __init__(
        self,
        name: str,
        app: App,
        settings: Settings,
        *,
        foundation: Foundation,
        data: Borrowed,
        image: pulumi.Input[str],
    ) -> None:
        if len(app.served) != 1:
            raise SlipwayError(
                f"A preview has one process behind the load balancer; stacks/app.yaml has {', '.join(app.served)}.",
                "Previews of several are not there yet.",
            )
        self._name, self._app, self._settings = name, app, settings
        self._foundation, self._data, self._image = foundation, data, image
        self._rollout = contract.ROLLOUTS[settings.deploy_profile]
        self.release = release_of(image, app, settings)

    def args(self, host: pulumi.Input[str], prefix: str, shared: PreviewFacts) -> GuestArgs:
        """The service, with the app's containers and the cache in one task."""
        ((label, process),) = self._app.served.items()
        beside = [self._data.cache] if self._data.cache else []
        made = [self._container(each) for each in (label, *self._app.workers)]
        return GuestArgs(
            place=Place(self._foundation.network, self._foundation.cluster),
            listener_arn=shared.listener_arn,
            host=host,
            priority=self._settings.rule_priority
            or naming.rule_priority(pulumi.get_stack(), contract.NO_PREVIEW_PRIORITY),
            prefix=prefix,
            shared=shared,
            task=self._task([*made, *beside], process.cpu, process.memory),
            release=self._task([self._container(RELEASE)], contract.RELEASE_CPU, contract.RELEASE_MEMORY)
            if self._app.release
            else None,
            health_path=self._app.health.ready,
            rollout=self._rollout,
            tasks=process.tasks,
            metrics_port=self._app.metrics_port_of(label),
            spot=process.on_spot,
        )

    def _container(self, label: str) -> Container:
        made = container(self._app, label, self._image, self._data.values, self.release, self._rollout)
        return made.but(beside=self._data.cache.name) if self._data.cache and label != RELEASE else made

    def _task(self, containers: list[Container], cpu: int, memory: int) -> TaskArgs:
        more = {"containers": containers, "cpu": cpu, "memory": memory}
        return TaskArgs.of(self._settings, self._foundation, self._rollout, **more)

    def room(self, shared: PreviewFacts) -> pulumi.ResourceHookBinding:
        """Room in the account, and the images: looked at before anything of the app changes."""
        ((_, process),) = self._app.served.items()
        tasks = [*Tasks.of(process), *([Tasks(contract.RELEASE_CPU, 1)] if self._app.release else [])]
        return room_for(
            self._name,
            images=[self._image, *([shared.cache_image] if self._data.cache else [])],
            architecture=self._settings.architecture,
            tasks=tasks,
            cluster_arn=self._foundation.cluster.arn,
        )

    def released(self, guest: Guest, shared: PreviewFacts, room: pulumi.ResourceHookBinding) -> list[pulumi.Resource]:
        """Its database is there, then its own release step has run in it: before any of its code serves."""
        cluster, subnets = self._foundation.cluster.arn, self._foundation.network.private_subnet_ids
        child = pulumi.ResourceOptions(parent=guest)
        done: list[pulumi.Resource] = []
        if self._data.verifier is not None and self._data.password is not None:
            made = preview_database.made(
                self._name,
                pulumi.get_stack(),
                cluster_arn=cluster,
                family=shared.database_task,
                subnet_ids=subnets,
                security_group_id=shared.security_group_id,
                verifier=self._data.verifier,
                template=shared.template if self._settings.preview_data == "template" else "",
                secret=self._data.password.reference,
                opts=child,
            )
            done.append(made)
        if guest.release_arn is not None:
            timeout = self._settings.release_timeout_minutes * 60
            step = Step(guest.release_arn, cluster, subnets, shared.security_group_id, timeout=timeout)
            after = pulumi.ResourceOptions(parent=guest, depends_on=done)
            done = [migrated(self._name, step, room, after)]
        return done

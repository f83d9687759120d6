"""An `up` of one web service without Pulumi's engine: the release's hooks and verification, on an account in memory.

The process may be killed after each call of the engine or of AWS. What the engine has stored and what AWS has stay.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pulumi
from pulumi.resource_hooks import ResourceHookArgs
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import run_pulumi_func

from slipway.release import (
    forwarded_for,
    image_tag,
    post_deploy_verification,
    pre_deploy_hooks,
    shared_timeouts,
    verify,
)
from slipway.release.clock import SystemClock
from slipway.release.image_tag import free_tag_hook
from slipway.release.post_deploy_verification import deregister_old_task_definitions, verify_rollout_on_every_up
from slipway.release.pre_deploy_hooks import ReleaseTaskRun, capacity_hook, run_release_task_on_change
from slipway.release.preflight import TaskDemand
from slipway.release.shared_timeouts import SharedTimeout, lower_timeouts, raise_timeouts_hook
from tests.infra.aws_calls import check_call
from tests.infra.fake_ecs import CLUSTER, NEVER, TARGETS, FakeClock, FakeDeployment, FakeEcs, FakeTask
from tests.infra.fake_pulumi import Killed, Killer
from tests.infra.recorder import end_program

REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop"
BALANCER = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/web/1"
QUEUE = "https://sqs.example/jobs"
TASKS, MAX_TASKS = 2, 4
READS = ("describe_", "list_", "get_", "batch_get_")


@dataclass
class Process(Killer):
    """The process of one `up` after the other. One that was killed makes no call any more."""

    end: Callable[[], None] = lambda: None
    """Ends the program that runs."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_dead(self) -> bool:
        return bool(self.after) and self.calls >= self.after

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """One call, after which the process may be killed; one at a time, whatever threads make them."""
        with self.lock:
            if self.is_dead:
                raise Killed(name)
            yield
            try:
                self.tick(name)
            except Killed:
                self.end()
                raise


class Account(FakeEcs):
    """FakeEcs with a registry, task definitions, quotas, time-outs, tags and autoscaling; no call is free of a kill."""

    def __init__(self, clock: FakeClock, process: Process) -> None:
        super().__init__(clock, [], [], desired=TASKS, balanced=True)
        self.process = process
        self.writes: list[str] = []
        self.image_tags: dict[str, list[str]] = {}
        """Digest -> its tags."""
        self.definitions: dict[str, str] = {}
        """Active task definition, `web:2` -> image digest."""
        self.seconds = {QUEUE: 900, TARGETS: 30, BALANCER: 60}
        self.forwarded_for = "append"
        self.target = {"MinCapacity": TASKS, "MaxCapacity": MAX_TASKS}
        self.tags: dict[str, str] = {}
        self.broken: set[str] = set()
        """Digests whose tasks exit soon after their start."""
        self.exceptions = SimpleNamespace(RepositoryNotFoundException=LookupError, ResourceNotFoundException=KeyError)

    def client(self, service: str) -> Any:
        return _Client(self, service)

    # The registry

    def push(self, digest: str, tag: str) -> None:
        assert not any(tag in tags for tags in self.image_tags.values()), "a tag of the registry is immutable"
        self.image_tags.setdefault(digest, []).append(tag)

    def batch_get_image(self, repositoryName: str, imageIds: list[dict[str, str]], **_: Any) -> Any:
        (wanted,) = imageIds
        images = [
            {"imageId": {"imageDigest": digest}, "imageManifest": MANIFEST, "imageManifestMediaType": "oci"}
            for digest, tags in self.image_tags.items()
            if wanted.get("imageDigest") == digest or wanted.get("imageTag") in tags
        ]
        return {"images": images}

    def describe_images(self, repositoryName: str, imageIds: list[dict[str, str]]) -> Any:
        return {"imageDetails": [{"imageTags": self.image_tags[imageIds[0]["imageDigest"]]}]}

    def put_image(self, repositoryName: str, imageTag: str, **_: Any) -> None:
        (digest,) = {digest for digest in self.image_tags if imageTag.endswith(digest.removeprefix("sha256:"))}
        self.push(digest, imageTag)

    def batch_delete_image(self, repositoryName: str, imageIds: list[dict[str, str]]) -> None:
        for tags in self.image_tags.values():
            tags[:] = [tag for tag in tags if tag != imageIds[0]["imageTag"]]

    # Task definitions, and the tasks of services

    def register(self, family: str, digest: str) -> str:
        numbers = [int(arn.rpartition(":")[2]) for arn in self.definitions if arn.startswith(f"{family}:")]
        arn = f"{family}:{max(numbers, default=0) + 1}"
        self.definitions[arn] = digest
        return arn

    def describe_task_definition(self, taskDefinition: str) -> Any:
        described = super().describe_task_definition(taskDefinition)
        described["taskDefinition"]["containerDefinitions"][0]["image"] = f"shop@{self.definitions[taskDefinition]}"
        return described

    def deregister_task_definition(self, taskDefinition: str) -> None:
        del self.definitions[taskDefinition]

    def get_paginator(self, call: str) -> Any:
        def paginate(**asked: Any) -> Any:
            match call:
                case "list_clusters":
                    return [{"clusterArns": [CLUSTER]}]
                case "list_task_definitions":
                    found = [arn for arn in self.definitions if arn.startswith(f"{asked['familyPrefix']}:")]
                    return [{"taskDefinitionArns": sorted(found, key=lambda arn: -int(arn.rpartition(":")[2]))}]
                case "list_tasks" if "serviceName" not in asked:
                    running = [
                        task for task in [*self.service_tasks, *self.standalone] if task.stopped > self.clock.now()
                    ]
                    return [{"taskArns": [self._arn(task) for task in running]}]
            return FakeEcs.get_paginator(self, call).paginate(**asked)

        return SimpleNamespace(paginate=paginate)

    def _described(self, task: FakeTask) -> Any:
        return super()._described(task) | {"cpu": "256"}

    def describe_services(self, cluster: str, services: list[str], include: tuple[str, ...] = ()) -> Any:
        described = super().describe_services(cluster, services)
        described["services"][0] |= {
            "serviceArn": "arn:aws:ecs:eu-central-1:111122223333:service/shop/web",
            "tags": [{"key": key, "value": value} for key, value in self.tags.items()],
            "taskDefinition": self.deployments[-1].definition,
        }
        return described

    def update_service(self, cluster: str, service: str, **change: Any) -> None:
        if "desiredCount" in change:
            self._scale(change["desiredCount"])
        definition = change.get("taskDefinition", self.deployments[-1].definition)
        if definition != self.deployments[-1].definition or change.get("forceNewDeployment"):
            self.roll_out(definition)

    def roll_out(self, definition: str) -> None:
        """The new tasks run after 2 s, and the old ones end after 4. Of a broken image one exits every 6 s."""
        now, digest = self.clock.now(), self.definitions[definition]
        self.deployments.append(FakeDeployment(definition, now, [(now, "IN_PROGRESS"), (now + 4, "SUCCESSFUL")]))
        self.tasks = self.service_tasks  # those that were still to come do not
        for task in self.tasks:
            if task.stopped > now + 4:
                task.stopped, task.stop_code = now + 4, "ServiceSchedulerInitiated"
                task.reason = "Scaling activity initiated by deployment"
        name = f"{len(self.deployments)}"
        for number in range(self.desired):
            task = FakeTask(definition, now, now + 2, digest=digest, health="HEALTHY", id=f"{name}-{number}")
            self.tasks.append(task)
        for created in range(0, 300, 6) if digest in self.broken else ():
            started = now + created + 1
            fallen = FakeTask(definition, now + created, started, started + 2, 3, digest=digest)
            fallen.id = f"{name}-fell-{created}"
            self.tasks.append(fallen)

    def _scale(self, count: int) -> None:
        now = self.clock.now()
        running = [task for task in self.tasks if task.stopped == NEVER]
        newest = self.deployments[-1].definition
        for number in range(len(running), count):
            task = FakeTask(newest, now, now + 5, digest=self.definitions[newest], health="HEALTHY")
            task.id = f"scaled-{now}-{number}"
            self.tasks.append(task)
        for task in running[count:]:
            task.stopped, task.stop_code, task.reason = now, "ServiceSchedulerInitiated", "Scaling activity"
        self.desired = count

    def run_task(self, taskDefinition: str, **asked: Any) -> Any:
        task = FakeTask(taskDefinition, 0, 1, 2, 0, id=f"release-{len(self.standalone)}")
        self.run.append(task)
        return super().run_task(taskDefinition=taskDefinition, **asked)

    def tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> None:
        self.tags |= {tag["key"]: tag["value"] for tag in tags}

    def untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        for key in tagKeys:
            del self.tags[key]

    # Quotas, time-outs, autoscaling

    def get_service_quota(self, ServiceCode: str, QuotaCode: str) -> Any:
        return {"Quota": {"Value": 100.0}}

    def describe_scalable_targets(self, **_: Any) -> Any:
        return {"ScalableTargets": [self.target]}

    def register_scalable_target(self, **change: Any) -> None:
        self.target |= {key: change[key] for key in ("MinCapacity", "MaxCapacity") if key in change}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> Any:
        return {"Attributes": {"VisibilityTimeout": str(self.seconds[QueueUrl])}}

    def set_queue_attributes(self, QueueUrl: str, Attributes: dict[str, str]) -> None:
        self.seconds[QueueUrl] = int(Attributes["VisibilityTimeout"])

    def describe_target_group_attributes(self, TargetGroupArn: str) -> Any:
        return {"Attributes": _pairs({shared_timeouts.DEREGISTRATION_DELAY: self.seconds[TargetGroupArn]})}

    def modify_target_group_attributes(self, TargetGroupArn: str, Attributes: list[dict[str, str]]) -> None:
        self.seconds[TargetGroupArn] = int(Attributes[0]["Value"])

    def describe_load_balancer_attributes(self, LoadBalancerArn: str) -> Any:
        mode = {forwarded_for.FORWARDED_FOR_MODE: self.forwarded_for}
        return {"Attributes": _pairs({shared_timeouts.IDLE_TIMEOUT: self.seconds[LoadBalancerArn], **mode})}

    def modify_load_balancer_attributes(self, LoadBalancerArn: str, Attributes: list[dict[str, str]]) -> None:
        (pair,) = Attributes
        if pair["Key"] == forwarded_for.FORWARDED_FOR_MODE:
            self.forwarded_for = pair["Value"]
        else:
            self.seconds[LoadBalancerArn] = int(pair["Value"])


MANIFEST = json.dumps({"manifests": [{"platform": {"architecture": "amd64"}}]})


def _pairs(values: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": str(value)} for key, value in values.items()]


class _Client:
    """Each call is one after which the process may end; a dead process makes none."""

    def __init__(self, account: Account, service: str) -> None:
        self._account, self._service = account, service
        self.exceptions = account.exceptions

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._account, name)
        if name == "get_paginator":
            return self._paginator
        return self._called(name, function)

    def _paginator(self, call: str) -> Any:
        return SimpleNamespace(paginate=self._called(call, self._account.get_paginator(call).paginate))

    def _called(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(**asked: Any) -> Any:
            check_call(self._service, name, asked)
            with self._account.process.call(name):
                if not name.startswith(READS):
                    self._account.writes.append(name)
                return function(**asked)

        return call


class Resource(pulumi.CustomResource):
    """A resource of the fake engine, with the outputs that any of its types has."""

    arn: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(
        self, kind: str, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = dict.fromkeys({"arn", "digest"} - set(inputs))
        super().__init__(f"test:index:{kind}", name, {**inputs, **outputs}, opts)


class Engine(mocks.MockMonitor):
    """Creates and updates what differs from the stored state, after its hooks, one resource after the other."""

    def __init__(self, account: Account, state: dict[str, dict[str, Any]]) -> None:
        super().__init__(_Outputs(self))
        self.account, self.state = account, state
        self.hooks: dict[str, pulumi.ResourceHook] = {}
        self.loop = asyncio.get_event_loop()

    def RegisterResource(self, request: Any) -> Any:
        inputs, former = rpc.deserialize_properties(request.object), self.state.get(request.name)
        if request.custom and (former is None or former["inputs"] != inputs):
            hooks = request.hooks.before_update if former else request.hooks.before_create
            for name in hooks:
                arguments = ResourceHookArgs("", "", request.name, request.type, inputs, former and former["inputs"])
                asyncio.run_coroutine_threadsafe(_run(self.hooks[name], arguments), self.loop).result()
            outputs = self._apply(request.type.rpartition(":")[2], inputs)
            with self.account.process.call(f"store {request.name}"):
                self.state[request.name] = {"inputs": inputs, "outputs": inputs | outputs}
        return super().RegisterResource(request)

    def _apply(self, kind: str, inputs: dict[str, Any]) -> dict[str, Any]:
        account = self.account
        if kind == "Stash":
            return {}
        with account.process.call(f"apply {kind}"):
            match kind:
                case "Image":
                    account.push(inputs["pushed"], inputs["tags"][0].rpartition(":")[2])
                    return {"digest": inputs["pushed"]}
                case "TaskDefinition":
                    return {"arn": account.register(inputs["family"], inputs["image"])}
                case "Service" if account.deployments:
                    account.update_service("", "", taskDefinition=inputs["taskDefinition"])
                case "Service":
                    account.roll_out(inputs["taskDefinition"])
        return {}


class _Outputs(pulumi.runtime.Mocks):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return args.name, self.engine.state[args.name]["outputs"]

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(args.token)


async def _run(hook: pulumi.ResourceHook, arguments: ResourceHookArgs) -> None:
    running = hook.callback(arguments)
    if running:
        await running


@dataclass
class Release:
    """What is to run: an image, and the time-outs that old and new tasks share."""

    digest: str
    delay: int
    visibility: int
    forwarded_for: str = "append"

    def program(self) -> None:
        """As `program.processes` orders it."""
        name = "shop-dev"
        image_inputs = {"tags": [f"{REGISTRY}:abc"], "pushed": self.digest}
        image = Resource("Image", "app", image_inputs, pulumi.ResourceOptions(hooks=free_tag_hook(name)))
        release = Resource("TaskDefinition", "release-task", {"family": "release", "image": image.digest})
        web = Resource("TaskDefinition", "web-task", {"family": "web", "image": image.digest})
        checks = capacity_hook(
            name,
            images=[pulumi.Output.format("{0}@{1}", REGISTRY, image.digest)],
            architecture="X86_64",
            tasks=[TaskDemand(256, TASKS)],
            cluster_arn=CLUSTER,
            retired_users=["shop_1"],
        )
        run = ReleaseTaskRun(release.arn, CLUSTER, ["subnet-1"], "sg-1")
        migrated = run_release_task_on_change(name, run, checks, pulumi.ResourceOptions())
        queue = SharedTimeout(QUEUE, self.visibility)
        raised = raise_timeouts_hook(f"{name}-web-timeouts", deregistration_delay=self.delay, queue=queue)
        service = Resource(
            "Service",
            "web",
            {"taskDefinition": web.arn, "loadBalancers": [{"targetGroupArn": TARGETS}]},
            pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding.merge(checks, raised), depends_on=[migrated]),
        )
        rollout = verify_rollout_on_every_up(
            service,
            cluster_arn=CLUSTER,
            name=service.id,
            task_definition_arn=web.arn,
            url="https://shop.example/livez",
            release="abc",
            task_counts=(TASKS, MAX_TASKS),
        )
        lower_timeouts([SharedTimeout(TARGETS, self.delay), SharedTimeout(BALANCER, self.delay), queue], [rollout])
        forwarded_for.set_forwarded_for_mode_after(BALANCER, self.forwarded_for, [rollout])
        deregister_old_task_definitions(migrated.urn, cluster_arn=CLUSTER, task_definition_arn=release.arn)


def _run_to_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> BaseException | None:
    """Returns the task's error. An exit of the program ends the loop before the program's other tasks."""
    while not task.done():
        with suppress(Exception, SystemExit, asyncio.CancelledError):
            loop.run_until_complete(task)
    return asyncio.CancelledError() if task.cancelled() else task.exception()


@dataclass
class UpFailed(Exception):
    """The program's error, as Pulumi prints it."""

    text: str


class World:
    """An account, and the state that the engine stored of it."""

    def __init__(self) -> None:
        self.killer = Process()
        self.clock = FakeClock()
        self.account = Account(self.clock, self.killer)
        self.state: dict[str, dict[str, Any]] = {}

    def up(self, release: Release) -> None:
        """Raises `Killed` where the process was ended, and `UpFailed`."""
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self._up, release).result()

    def _up(self, release: Release) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(lambda *_: None)  # a killed program is asked for its errors by nobody
        engine = Engine(self.account, self.state)
        mocks.set_mocks(engine.mocks, project="shop", stack="dev", preview=False, monitor=engine)
        shown: list[str] = []
        program = loop.create_task(run_pulumi_func(release.program))
        # Without this, Pulumi's SDK would wait for ever for what the last call did not return.
        self.killer.end = lambda: loop.call_soon_threadsafe(program.cancel) and None
        with self._patched(engine, shown):
            error = _run_to_end(loop, program)
            _run_to_end(loop, loop.create_task(loop.shutdown_default_executor()))  # a call that is being made ends
            _run_to_end(loop, loop.create_task(end_program(loop)))
        self.killer.end = lambda: None
        loop.close()
        if self.killer.is_dead:
            raise Killed(self.killer.last)
        if error:
            raise UpFailed("\n".join([*shown, str(error)])) from error

    @contextmanager
    def _patched(self, engine: Engine, shown: list[str]) -> Iterator[None]:
        register = pulumi.ResourceHook.__init__

        def note(hook: pulumi.ResourceHook, name: str, function: Any, opts: Any = None) -> None:
            engine.hooks[name] = hook
            register(hook, name, function, opts)

        def smoke_test(*_: Any) -> str:
            with self.killer.call("GET /livez"):
                return "answers"

        with ExitStack() as stack:
            for module in (image_tag, post_deploy_verification, pre_deploy_hooks, shared_timeouts):
                stack.enter_context(patch.object(module, "open_stack_aws_session", lambda: self.account))
            stack.enter_context(patch.object(pulumi.ResourceHook, "__init__", note))
            stack.enter_context(patch.object(verify, "run_smoke_test", smoke_test))
            stack.enter_context(patch.object(SystemClock, "now", lambda _: self.clock.now()))
            stack.enter_context(patch.object(SystemClock, "sleep", lambda _, seconds: self.clock.sleep(seconds)))
            stack.enter_context(patch.object(pulumi.log, "error", shown.append))
            yield

"""Reads a preview's base environment and builds the preview's ECS service from its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pulumi

from slipway.components.outputs import OUTPUT_NAME, EnvironmentOutputs, PreviewSharedOutputs, TaskPlacement
from slipway.components.outputs_schema import read_exported_outputs
from slipway.components.preview_service import PreviewService, PreviewServiceArgs
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinitionArgs
from slipway.config import constants, names
from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.health import HealthSpec
from slipway.config.app_spec.process import ProcessSpec
from slipway.config.errors import SlipwayError
from slipway.program.component_args.services import health_check_limits, spot_capacity, task_definition_args
from slipway.program.container_env import RELEASE, build_process_container
from slipway.program.preview_data import PreviewData
from slipway.program.process_images import ProcessImages
from slipway.program.stack_context import StackContext
from slipway.release import preview_database
from slipway.release.pre_deploy_hooks import (
    ReleaseTaskRun,
    capacity_hook,
    health_check_change_hook,
    run_release_task_on_change,
)
from slipway.release.preflight import TaskDemand


def read_base_outputs(base: str, app: AppSpec) -> tuple[EnvironmentOutputs, PreviewSharedOutputs]:
    """Returns the outputs of the environment `base`, and those of its previews' shared resources.

    An update fails with `pulumi.RunError` if an incompatible version of the kit deployed the environment, or if it has
    no previews.

    Raises:
        SlipwayError: `base` is empty.
    """
    if not base:
        raise SlipwayError("kind is preview and base is empty.", "slipway preview create NAME --base STACK")
    stack = pulumi.StackReference(f"{pulumi.get_organization()}/{pulumi.get_project()}/{base}")
    exported = stack.require_output(OUTPUT_NAME).apply(lambda outputs: _check_base_outputs(base, outputs))
    parts = {"previews"} | (app.stores & {"database"})
    environment_outputs = EnvironmentOutputs.from_output(exported, parts)
    return environment_outputs, PreviewSharedOutputs.from_output(exported["previews"])


def _check_base_outputs(base: str, exported: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the outputs with every key that this kit reads.

    Raises:
        pulumi.RunError: They cannot be read. Pulumi prints it without a stack trace.
    """
    try:
        outputs = read_exported_outputs(base, exported)
    except SlipwayError as error:
        raise pulumi.RunError(str(error)) from None
    if "previews" not in outputs:
        raise pulumi.RunError(
            f"The environment {base} has previews: false. pulumi config set previews true --stack {base}, then up"
        )
    return outputs


def preview_host_and_url(shared: PreviewSharedOutputs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Returns the preview's host name, and its URL with the scheme and port of its listener."""
    host = pulumi.Output.format("{0}.{1}", pulumi.get_stack(), shared.domain)
    url = pulumi.Output.all(shared.url, host).apply(lambda url_and_host: _replace_host(*url_and_host))
    return host, url


def _replace_host(url: str, host: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/"


def verification_url(
    environment_outputs: EnvironmentOutputs, url: pulumi.Output[str], live_path: str
) -> pulumi.Output[str]:
    """Returns the smoke test's URL. Without `previewDomain`, previews' names do not resolve: then the load balancer's.

    `live_path`: path of the liveness check.
    """

    def choose(urls: list[str]) -> str:
        load_balancer_url, preview_url = urls
        base_url = preview_url if preview_url.startswith("https:") else load_balancer_url
        return base_url.rstrip("/") + live_path

    return pulumi.Output.all(environment_outputs.load_balancer.url, url).apply(choose)


class PreviewServiceBuilder:
    """Builds the arguments of a preview's service, and the hooks and task runs before it.

    Raises:
        SlipwayError: The app does not have exactly one process behind the load balancer.
    """

    def __init__(
        self,
        context: StackContext,
        *,
        environment_outputs: EnvironmentOutputs,
        shared: PreviewSharedOutputs,
        data: PreviewData,
        images: ProcessImages,
    ) -> None:
        web_processes = context.app.web_processes
        if len(web_processes) != 1:
            raise SlipwayError(
                f"A preview needs one process behind the load balancer; app.yaml has {', '.join(web_processes)}.",
                "Previews of an app with several are not supported.",
            )
        self._context = context
        self._environment_outputs = environment_outputs
        self._shared = shared
        self._data = data
        self._images = images
        self.release_name = images.app_release

    @property
    def _web(self) -> tuple[str, ProcessSpec]:
        ((name, spec),) = self._context.app.web_processes.items()
        return name, spec

    @property
    def health(self) -> HealthSpec:
        """Return the health checks of the process behind the load balancer."""
        return self._context.app.health_of(self._web[0])

    def service_args(self, host: pulumi.Input[str], log_group_prefix: str) -> PreviewServiceArgs:
        """Returns the service's arguments: the app's processes and the Redis sidecar in one task."""
        app = self._context.app
        settings = self._context.settings
        name, spec = self._web
        containers = [self._process_container(process) for process in (name, *app.workers)]
        if self._data.cache:
            containers.append(self._data.cache)
        priority = settings.rule_priority or names.preview_rule_priority(
            pulumi.get_stack(), constants.UNKNOWN_PREVIEW_RULE_PRIORITY
        )
        return PreviewServiceArgs(
            place=TaskPlacement(self._environment_outputs.network, self._environment_outputs.cluster),
            listener_arn=self._shared.listener_arn,
            host=host,
            priority=priority,
            log_group_prefix=log_group_prefix,
            shared=self._shared,
            task=self._task_args(containers, spec.cpu, spec.memory),
            release=self._release_args() if app.release else None,
            health_path=self.health.ready,
            health_limits=health_check_limits(self.health),
            start_seconds=self.health.start_seconds,
            rollout=self._context.deploy_profile,
            tasks=spec.tasks,
            metrics_port=app.metrics_port_of(name),
            spot=spot_capacity(spec),
            target_group_hooks=health_check_change_hook(
                self._context.name,
                label=name,
                url=self._environment_outputs.load_balancer.url,
                host=host,
                paths=("/*",),
            ),
        )

    def capacity_hooks(self) -> pulumi.ResourceHookBinding:
        """Creates the hooks that check images and the account's vCPU quota before the preview changes."""
        _, spec = self._web
        demand = list(TaskDemand.of(spec))
        if self._context.app.release:
            demand.append(TaskDemand(constants.RELEASE_CPU, 1))
        images = [self._images.app_image, *self._images.own.values()]
        if self._data.cache:
            images.append(self._shared.cache_image)
        return capacity_hook(
            self._context.name,
            images=images,
            architecture=self._context.settings.architecture,
            tasks=demand,
            cluster_arn=self._environment_outputs.cluster.arn,
        )

    def create_release_run(
        self, preview_service: PreviewService, capacity_hooks: pulumi.ResourceHookBinding
    ) -> list[pulumi.Resource]:
        """Creates the preview's database, then runs its release task. The service depends on the resources returned."""
        runs = self._create_database(preview_service)
        if preview_service.release_task_definition_arn is None:
            return runs
        release_run = run_release_task_on_change(
            self._context.name,
            ReleaseTaskRun(
                preview_service.release_task_definition_arn,
                self._environment_outputs.cluster.arn,
                self._environment_outputs.network.task_subnet_ids,
                self._shared.security_group_id,
                assign_public_ip=self._environment_outputs.network.has_public_tasks,
                timeout=self._context.release_timeout_seconds,
            ),
            capacity_hooks,
            pulumi.ResourceOptions(parent=preview_service, depends_on=runs),
        )
        return [release_run]

    def _create_database(self, preview_service: PreviewService) -> list[pulumi.Resource]:
        """Creates the preview's database with the environment's task; nothing for an external one, or none."""
        if self._data.verifier is None or self._data.password is None:
            return []
        use_template = self._context.settings.preview_data == "template"
        database = preview_database.create_database_on_secret_change(
            self._context.name,
            pulumi.get_stack(),
            cluster_arn=self._environment_outputs.cluster.arn,
            family=self._shared.database_task,
            subnet_ids=self._environment_outputs.network.task_subnet_ids,
            assign_public_ip=self._environment_outputs.network.has_public_tasks,
            security_group_id=self._shared.security_group_id,
            verifier=self._data.verifier,
            template=self._shared.template if use_template else "",
            secret=self._data.password.value_from,
            opts=pulumi.ResourceOptions(parent=preview_service),
        )
        return [database]

    def _process_container(self, name: str) -> ContainerDefinition:
        container = self._container(name)
        return replace(container, wait_for_start=self._data.cache.name) if self._data.cache else container

    def _container(self, name: str) -> ContainerDefinition:
        return build_process_container(
            self._context.app,
            name,
            self._images.image_of(name),
            self._data.values,
            self._images.release_of(name),
            self._context.deploy_profile,
        )

    def _release_args(self) -> FargateTaskDefinitionArgs:
        return self._task_args([self._container(RELEASE)], constants.RELEASE_CPU, constants.RELEASE_MEMORY)

    def _task_args(self, containers: list[ContainerDefinition], cpu: int, memory: int) -> FargateTaskDefinitionArgs:
        return task_definition_args(
            self._context,
            self._environment_outputs,
            containers=containers,
            cpu=cpu,
            memory=memory,
        )

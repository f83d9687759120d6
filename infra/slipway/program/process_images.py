"""Builds the images of processes that do not run the app's: `image` or `dockerfile` in stacks/app.yaml."""

from __future__ import annotations

import pulumi

from slipway.components.container_image import ContainerImage
from slipway.components.outputs import RepositoryOutputs
from slipway.program.component_args.images import process_image_args
from slipway.program.container_env import format_release_name, git_revision, resolve_release_name
from slipway.program.stack_context import StackContext
from slipway.release.image_tag import free_tag_hook


class ProcessImages:
    """Which image and which release each process runs. The constructor builds the images of processes' own."""

    def __init__(
        self, context: StackContext, registry: RepositoryOutputs, app_image: pulumi.Input[str], *, tag_prefix: str = ""
    ) -> None:
        self._context = context
        self.app_image = app_image
        self.app_release = resolve_release_name(app_image, context.app, context.settings)
        self._own = {
            name: self._build(name, registry, tag_prefix)
            for name, spec in context.app.processes.items()
            if spec.has_own_image
        }

    @property
    def own(self) -> dict[str, pulumi.Output[str]]:
        """Return process -> its own image, by digest."""
        return {name: image.reference for name, image in self._own.items()}

    @property
    def digests(self) -> dict[str, pulumi.Output[str]]:
        """Return process -> the digest of its own image."""
        return {name: image.digest for name, image in self._own.items()}

    def image_of(self, process: str) -> pulumi.Input[str]:
        """Return the image of a process, or of the release task: its own, else the app's."""
        return self._own[process].reference if process in self._own else self.app_image

    def release_of(self, process: str) -> pulumi.Output[str]:
        """Return the name of the release that a process runs."""
        if process not in self._own:
            return self.app_release
        spec = self._context.app.processes[process]
        revision = git_revision(spec.source or self._context.app.source) if spec.dockerfile else ""
        return self._own[process].reference.apply(lambda image: format_release_name(image, revision))

    def _build(self, process: str, registry: RepositoryOutputs, tag_prefix: str) -> ContainerImage:
        name = f"{self._context.name}-{process}-image"
        args = process_image_args(
            self._context.app,
            process,
            self._context.settings,
            registry=registry,
            hooks=free_tag_hook(name),
            tag_prefix=tag_prefix,
        )
        return ContainerImage(name, args)

"""A container image: built with BuildKit, pushed to the registry, deployed by digest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

from slipway.components.build_context import KIT_FOLDER, create_build_context
from slipway.components.outputs import RepositoryOutputs
from slipway.config.project import run_dir

CA_SECRET_MOUNT = re.compile(r"\bid=ca\b")
"""Matches `--mount=type=secret,id=ca` of a RUN line in a Dockerfile."""


@dataclass(frozen=True)
class ContainerImageArgs:
    """Inputs of `ContainerImage`."""

    registry: RepositoryOutputs
    source: Path
    """Folder that is copied into the build context."""
    dockerfile: Path
    extra: Mapping[str, str | Path] = field(default_factory=dict)
    """File name -> text, or path of a file, that the build finds in the folder `.slipway` of its context."""
    dockerfile_suffix: str = ""
    """Lines that are appended to the Dockerfile, so to its last stage."""
    tag_prefix: str = ""
    """Begins the tag: images of one repository differ by it."""
    architecture: str = "X86_64"
    build_args: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    """Docker network of the build: `host` if it reaches package registries only through this machine's network."""
    refreshed: str = ""
    """Date of the last refresh of the base image; another date makes another build."""
    digest: str = ""
    """Digest of an image in the registry to deploy instead of a build; empty: build."""
    hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the image is pushed."""


class ContainerImage(pulumi.ComponentResource):
    """Builds and pushes one image, tagged with the hash of its build context; a push moves no tag (ECR.2).

    `reference` is `repository@sha256:...`: a task definition names exactly the image that was built. With `digest`
    nothing is built: the image in the registry is used as it is.
    """

    reference: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(self, name: str, args: ContainerImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecr:ContainerImage", name, None, opts)
        self.digest = pulumi.Output.from_input(args.digest) if args.digest else self._build(name, args)
        self.reference = pulumi.Output.format("{0}@{1}", args.registry.url, self.digest)
        self.register_outputs({"digest": self.digest})

    def _build(self, name: str, args: ContainerImageArgs) -> pulumi.Output[str]:
        context, context_hash = prepare_build_context(name, args)
        tag = f"{args.tag_prefix}{context_hash}"
        repository = args.registry.url
        ca_bundle = read_ca_bundle(args.dockerfile)
        login = aws.ecr.get_authorization_token_output(opts=pulumi.InvokeOutputOptions(parent=self))
        image = docker_build.Image(
            name,
            # Relative to the program, as its plugins take them: another checkout of the same commit changes nothing.
            context={"location": os.path.relpath(context)},
            dockerfile={"location": os.path.relpath(context / KIT_FOLDER / "Dockerfile")},
            build_args=dict(args.build_args),
            platforms=[
                docker_build.Platform.LINUX_ARM64 if args.architecture == "ARM64" else docker_build.Platform.LINUX_AMD64
            ],
            secrets={"ca": pulumi.Output.secret(ca_bundle)} if ca_bundle else None,
            network=docker_build.NetworkMode(args.network),
            tags=[pulumi.Output.format("{0}:{1}", repository, tag)],
            registries=[
                # The provider's schema does not mark it.
                {"address": repository, "username": login.user_name, "password": pulumi.Output.secret(login.password)},
            ],
            push=True,
            # A build in a preview would take minutes and need a Docker engine; `up` builds and reports failures.
            build_on_preview=False,
            # `slipway image prune` deletes images: a rollback, or a later stage, may still use an older one.
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks, retain_on_delete=True),
        )
        return image.digest


def prepare_build_context(name: str, args: ContainerImageArgs) -> tuple[Path, str]:
    """Creates the build context of the image `name` and returns its folder and its hash of twelve hex digits."""
    return create_build_context(
        args.source,
        args.dockerfile,
        extra=args.extra,
        dockerfile_suffix=args.dockerfile_suffix,
        hash_input=f"{args.architecture} {sorted(args.build_args.items())}{args.refreshed}",
        into=run_dir() / "build" / name,
    )


def read_ca_bundle(dockerfile: Path) -> str:
    """Returns the CA bundle that SSL_CERT_FILE names, for builds behind a company proxy: their build secret `ca`.

    Empty for a Dockerfile that does not mount it: the state would keep its 300 kB and be written at each step.
    """
    bundle = os.environ.get("SSL_CERT_FILE")
    if not bundle or not Path(bundle).is_file() or not CA_SECRET_MOUNT.search(dockerfile.read_text(encoding="utf-8")):
        return ""
    return Path(bundle).read_text()

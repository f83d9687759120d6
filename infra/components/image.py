"""The app's image: built with BuildKit, pushed to the environment's registry, deployed by digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

from infra import contract
from infra.components.registry import Registry
from infra.settings import ROOT, Settings


@dataclass(frozen=True)
class ImageArgs:
    """Inputs of `Image`."""

    registry: Registry
    context: Path
    """The build's root folder."""
    dockerfile: Path
    """Relative to the context."""
    sources: Sequence[str]
    """Files and folders below the context that the build reads; the .dockerignore lets in just these."""
    base_image: str
    architecture: str = "X86_64"
    build_args: Mapping[str, str] = field(default_factory=dict)
    """Arguments of the build beside BASE_IMAGE."""
    network: str = "default"
    """`host` where a build reaches the package registries only as this machine does."""
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to be done before it is pushed."""

    @classmethod
    def of(cls, settings: Settings, *, registry: Registry, hooks: pulumi.ResourceHookBinding | None) -> ImageArgs:
        """The app's image, as a stack's settings have it."""
        return cls(
            registry=registry,
            context=ROOT,
            dockerfile=Path("docker/app/Dockerfile"),
            sources=["app", "docker/app", "pyproject.toml", "uv.lock"],
            base_image=settings.base_image,
            architecture=settings.architecture,
            build_args={} if settings.database_ca else {"RDS_CA_URL": contract.DATABASE_CA_URL},
            network=settings.build_network,
            hooks=hooks,
        )


class Image(pulumi.ComponentResource):
    """Builds and pushes one image. Its tag is the hash of its sources, and never moves by a push (ECR.2).

    `reference` is `repository@sha256:...`: what a task definition names is exactly what was built here.
    """

    reference: pulumi.Output[str]
    digest: pulumi.Output[str]
    tag: str

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:image:Image", name, None, opts)
        self.tag = source_hash(args)
        repository = args.registry.repository_url
        login = aws.ecr.get_authorization_token_output(opts=pulumi.InvokeOutputOptions(parent=self))
        image = docker_build.Image(
            f"{name}-image",
            # Relative to the program, as its plugins take them: another checkout of the same commit is no change.
            context={"location": os.path.relpath(args.context)},
            dockerfile={"location": os.path.relpath(args.context / args.dockerfile)},
            build_args={"BASE_IMAGE": args.base_image, **args.build_args},
            platforms=[
                docker_build.Platform.LINUX_ARM64 if args.architecture == "ARM64" else docker_build.Platform.LINUX_AMD64
            ],
            secrets=_ca_secret(),
            network=docker_build.NetworkMode(args.network),
            tags=[pulumi.Output.format("{0}:{1}", repository, self.tag)],
            registries=[
                {"address": repository, "username": login.user_name, "password": login.password},
            ],
            push=True,
            # A preview that builds takes minutes and needs a Docker engine; `up` builds and says what failed.
            build_on_preview=False,
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks),
        )
        self.digest = image.digest
        self.reference = pulumi.Output.format("{0}@{1}", repository, image.digest)
        self.register_outputs({"digest": self.digest})


def source_hash(args: ImageArgs) -> str:
    """Twelve hex digits over paths, modes and bytes of the sources, and over what the build is told."""
    digest = hashlib.sha256(f"{args.base_image} {args.architecture} {sorted(args.build_args.items())}".encode())
    for source in sorted(args.sources):
        root = args.context / source
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in files:
            if "__pycache__" in path.parts:
                continue
            executable = "x" if path.stat().st_mode & 0o100 else "-"
            digest.update(f"\0{path.relative_to(args.context)} {executable}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _ca_secret() -> dict[str, pulumi.Input[str]] | None:
    """The host's CA bundle, where one is named: builds behind a company proxy need it."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if not bundle or not Path(bundle).is_file():
        return None
    return {"ca": pulumi.Output.secret(Path(bundle).read_text())}

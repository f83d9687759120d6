"""An image: built with BuildKit, pushed to the registry, deployed by digest."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

from infra import contract, pins
from infra.app import App
from infra.components.build_context import KIT_FOLDER, build_context
from infra.foundation import RegistryFacts
from infra.settings import ROOT, Settings

TRACING = "tracing"
"""The extra of an app that brings what traces it."""
CA_MOUNT = re.compile(r"\bid=ca\b")
"""Of a RUN in a Dockerfile, `--mount=type=secret,id=ca`."""
COPIES = ROOT / ".slipway" / "build"
"""Where the copies lie that builds read."""


@dataclass(frozen=True)
class ImageArgs:
    """Inputs of `Image`."""

    registry: RegistryFacts
    source: Path
    """The build's root folder."""
    dockerfile: Path
    extra: Mapping[str, str | Path] = field(default_factory=dict)
    """Files of the kit that the build finds in its folder `.slipway`: text, or a file's path."""
    appended: str = ""
    """More lines of the Dockerfile, for its last stage."""
    tag_prefix: str = ""
    """Tells the images of one repository apart."""
    architecture: str = "X86_64"
    build_args: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    """`host` where a build reaches the package registries only as this machine does."""
    refreshed: str = ""
    """The day since when it is built as it is: another one is another build."""
    digest: str = ""
    """An image of the registry that is deployed as it is: nothing is built then."""
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to be done before it is pushed."""

    @classmethod
    def of_the_app(
        cls,
        app: App,
        settings: Settings,
        *,
        registry: RegistryFacts,
        hooks: pulumi.ResourceHookBinding | None,
        stores: Collection[str] | None = None,
    ) -> ImageArgs:
        """The app's image: by its own Dockerfile, or by docker/app for a module.

        It verifies the servers of `stores`, without them of all that the app has.
        """
        source = ROOT / app.source
        own = bool(app.dockerfile)
        extra, appended = authorities(settings, set(app.stores if stores is None else stores))
        arguments = {"BASE_IMAGE": _base(settings, settings.base_image)}
        if not own:
            arguments |= {"SOURCE": source.name, "MODULE": app.module}
            if settings.tracing and TRACING in _extras(source):
                arguments["EXTRAS"] = TRACING
            extra |= {name: ROOT / "docker" / "app" / name for name in ("gunicorn.conf.py", "slim.py")}
        return cls(
            registry=registry,
            source=source,
            dockerfile=ROOT / (app.dockerfile or "docker/app/Dockerfile"),
            extra=extra,
            appended=appended,
            architecture=settings.architecture,
            build_args=arguments,
            network=settings.build_network,
            refreshed=_refreshed(settings),
            digest=settings.pinned,
            hooks=hooks,
        )

    @classmethod
    def of_the_database_step(
        cls, settings: Settings, *, registry: RegistryFacts, hooks: pulumi.ResourceHookBinding | None
    ) -> ImageArgs:
        """The kit's own image, which makes the database's roles: psql, and one script."""
        extra, appended = authorities(settings, {"database"})
        return cls(
            registry=registry,
            source=ROOT / "docker" / "database",
            dockerfile=ROOT / "docker" / "database" / "Dockerfile",
            extra=extra,
            appended=appended,
            tag_prefix="database-",
            architecture=settings.architecture,
            build_args={"BASE_IMAGE": _base(settings, f"postgres:{settings.database_version}-alpine")},
            network=settings.build_network,
            refreshed=_refreshed(settings),
            hooks=hooks,
        )

    @classmethod
    def of_the_kit(
        cls,
        folder: str,
        base_image: str,
        settings: Settings,
        *,
        registry: RegistryFacts,
        hooks: pulumi.ResourceHookBinding | None,
        stores: Collection[str] = (),
    ) -> ImageArgs:
        """An image of the kit's own: docker/`folder` on `base_image`; it verifies the servers of `stores`."""
        source = ROOT / "docker" / folder
        extra, appended = authorities(settings, set(stores))
        return cls(
            registry=registry,
            source=source,
            dockerfile=source / "Dockerfile",
            extra=extra,
            appended=appended,
            tag_prefix=f"{folder}-",
            architecture=settings.architecture,
            build_args={"BASE_IMAGE": _base(settings, base_image)},
            network=settings.build_network,
            refreshed=_refreshed(settings),
            hooks=hooks,
        )


class Image(pulumi.ComponentResource):
    """Builds and pushes one image. Its tag is the hash of what the build sees, and never moves by a push (ECR.2).

    `reference` is `repository@sha256:...`: what a task definition names is exactly what was built here. An image that
    is given by its digest is not built: that was done once, and this very one was looked at elsewhere.
    """

    reference: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:image:Image", name, None, opts)
        self.digest = pulumi.Output.from_input(args.digest) if args.digest else self._build(name, args)
        self.reference = pulumi.Output.format("{0}@{1}", args.registry.url, self.digest)
        self.register_outputs({"digest": self.digest})

    def _build(self, name: str, args: ImageArgs) -> pulumi.Output[str]:
        copy, hashed = context_of(name, args)
        tag = f"{args.tag_prefix}{hashed}"
        repository = args.registry.url
        login = aws.ecr.get_authorization_token_output(opts=pulumi.InvokeOutputOptions(parent=self))
        image = docker_build.Image(
            name,
            # Relative to the program, as its plugins take them: another checkout of the same commit is no change.
            context={"location": os.path.relpath(copy)},
            dockerfile={"location": os.path.relpath(copy / KIT_FOLDER / "Dockerfile")},
            build_args=dict(args.build_args),
            platforms=[
                docker_build.Platform.LINUX_ARM64 if args.architecture == "ARM64" else docker_build.Platform.LINUX_AMD64
            ],
            secrets={"ca": pulumi.Output.secret(bundle)} if (bundle := ca_bundle(args.dockerfile)) else None,
            network=docker_build.NetworkMode(args.network),
            tags=[pulumi.Output.format("{0}:{1}", repository, tag)],
            registries=[
                # The provider's schema does not mark it.
                {"address": repository, "username": login.user_name, "password": pulumi.Output.secret(login.password)},
            ],
            push=True,
            # A preview that builds takes minutes and needs a Docker engine; `up` builds and says what failed.
            build_on_preview=False,
            # The registry decides what goes: a release that others went back from, or on from, is still theirs.
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks, retain_on_delete=True),
        )
        return image.digest


def context_of(name: str, args: ImageArgs) -> tuple[Path, str]:
    """The copy that the build of the image `name` reads, and its hash."""
    return build_context(
        args.source,
        args.dockerfile,
        extra=args.extra,
        appended=args.appended,
        told=f"{args.architecture} {sorted(args.build_args.items())}{args.refreshed}",
        into=COPIES / name,
    )


def _base(settings: Settings, image: str) -> str:
    """What an image is built from: by its digest, where docker/pins.yaml has it."""
    return pins.read().pinned(image) if settings.pin_images else image


def _refreshed(settings: Settings) -> str:
    return pins.read().refreshed if settings.pin_images else ""


def authorities(settings: Settings, stores: set[str]) -> tuple[dict[str, str | Path], str]:
    """Who signs the stores' certificates, as files of the image: the kit's files, and the lines that put them there.

    RDS's authorities are fetched by the build, for they are in no system's list; a stack may name files of its own.
    """
    extra: dict[str, str | Path] = {}
    lines: list[str] = []
    for store, key, file, path, url in (
        ("database", "databaseCa", settings.database_ca, contract.DATABASE_CA_PATH, contract.DATABASE_CA_URL),
        ("cache", "cacheCa", settings.cache_ca, contract.CACHE_CA_PATH, ""),
    ):
        if store not in stores:
            continue
        if file:
            extra[f"{store}.pem"] = settings.pem(key, file)
            lines.append(f"COPY --chmod=0644 {KIT_FOLDER}/{store}.pem {path}")
        elif url:
            lines.append(f"ADD --chmod=0644 {url} {path}")
    return extra, "".join(f"{line}\n" for line in lines)


def _extras(source: Path) -> set[str]:
    """What the app's pyproject.toml lets one choose."""
    file = source / "pyproject.toml"
    found = tomllib.loads(file.read_text()) if file.is_file() else {}
    return set(found.get("project", {}).get("optional-dependencies", {}))


def ca_bundle(dockerfile: Path) -> str:
    """The host's CA bundle, where one is named: builds behind a company proxy need it. It is their secret `ca`.

    Empty for a build that does not mount it: the state keeps it, and its 300 kB are written at each step of an update.
    """
    bundle = os.environ.get("SSL_CERT_FILE")
    if not bundle or not Path(bundle).is_file() or not CA_MOUNT.search(dockerfile.read_text(encoding="utf-8")):
        return ""
    return Path(bundle).read_text()

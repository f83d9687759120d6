"""Arguments of images: the app's and the kit's."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pulumi

from slipway.components.build_context import KIT_FOLDER
from slipway.components.container_image import ContainerImageArgs
from slipway.components.outputs import RepositoryOutputs
from slipway.config import constants, image_digests
from slipway.config.app_spec.app import AppSpec
from slipway.config.project import kit_path, project_root
from slipway.config.settings import Settings

TRACING_EXTRA = "tracing"
"""The app's optional dependency group of tracing."""


def app_image_args(
    app: AppSpec,
    settings: Settings,
    *,
    registry: RepositoryOutputs,
    hooks: pulumi.ResourceHookBinding | None,
    stores: Collection[str] | None = None,
) -> ContainerImageArgs:
    """Returns the arguments of the app's image: by its own Dockerfile, or by docker/app for a module.

    The image holds the certificate authorities of `stores`; None: of all that the app needs.
    """
    source = project_root() / app.source
    build_args, files = dict[str, str](), dict[str, Path]()
    if not app.dockerfile:
        build_args = {"SOURCE": source.name, "MODULE": app.module}
        if settings.tracing and TRACING_EXTRA in _optional_dependencies(source):
            build_args["EXTRAS"] = TRACING_EXTRA
        files = {name: kit_path(f"docker/app/{name}") for name in ("gunicorn.conf.py", "slim.py")}
    args = _image_args(
        settings,
        settings.base_image,
        app.stores if stores is None else stores,
        registry=registry,
        source=source,
        dockerfile=project_root() / app.dockerfile if app.dockerfile else kit_path("docker/app/Dockerfile"),
        files=files,
        build_args=build_args,
        hooks=hooks,
    )
    return replace(args, digest=settings.pinned)


def process_image_args(
    app: AppSpec,
    process: str,
    settings: Settings,
    *,
    registry: RepositoryOutputs,
    hooks: pulumi.ResourceHookBinding | None,
    tag_prefix: str = "",
) -> ContainerImageArgs:
    """Return the arguments of a process's own image: its Dockerfile, or `image` with its stores' authorities added."""
    spec = app.processes[process]
    dockerfile = project_root() / spec.dockerfile if spec.dockerfile else kit_path("docker/process/Dockerfile")
    return _image_args(
        settings,
        spec.image or settings.base_image,
        [need.partition(".")[0] for need in app.needs_of(process)],
        registry=registry,
        source=project_root() / (spec.source or app.source) if spec.dockerfile else dockerfile.parent,
        dockerfile=dockerfile,
        tag_prefix=f"{tag_prefix}{process}-",
        hooks=hooks,
    )


def kit_image_args(
    folder: str,
    base_image: str,
    settings: Settings,
    *,
    registry: RepositoryOutputs,
    hooks: pulumi.ResourceHookBinding | None,
    stores: Collection[str] = (),
    files: Mapping[str, Path] | None = None,
) -> ContainerImageArgs:
    """Returns the arguments of docker/`folder` on `base_image`, with the certificate authorities of `stores`.

    `files`: of the kit, by their names in the folder `.slipway` of the build context.
    """
    source = kit_path(f"docker/{folder}")
    return _image_args(
        settings,
        base_image,
        stores,
        registry=registry,
        source=source,
        dockerfile=source / "Dockerfile",
        files=files or {},
        tag_prefix=f"{folder}-",
        hooks=hooks,
    )


def _image_args(
    settings: Settings,
    base_image: str,
    stores: Collection[str],
    *,
    registry: RepositoryOutputs,
    source: Path,
    dockerfile: Path,
    hooks: pulumi.ResourceHookBinding | None,
    files: Mapping[str, Path] = MappingProxyType({}),
    build_args: Mapping[str, str] = MappingProxyType({}),
    tag_prefix: str = "",
) -> ContainerImageArgs:
    """Returns the arguments of an image on `base_image` with the certificate authorities of `stores`."""
    authorities, dockerfile_suffix = ca_certificate_files(settings, set(stores))
    return ContainerImageArgs(
        registry=registry,
        source=source,
        dockerfile=dockerfile,
        extra={**authorities, **files},
        dockerfile_suffix=dockerfile_suffix,
        tag_prefix=tag_prefix,
        architecture=settings.architecture,
        build_args={"BASE_IMAGE": _pinned_base_image(settings, base_image), **build_args},
        network=settings.build_network,
        refreshed=_base_image_refresh_date(settings),
        hooks=hooks,
    )


def ca_certificate_files(settings: Settings, stores: set[str]) -> tuple[dict[str, str | Path], str]:
    """Returns the PEM files of `stores` by their name in the build context, and the Dockerfile lines that install them.

    The build downloads RDS's authorities, which are in no system's trust store; a stack may name its own PEM files.

    Raises:
        pulumi.RunError: `databaseCa` or `cacheCa` names a file that does not exist.
    """
    extra: dict[str, str | Path] = {}
    lines: list[str] = []
    for store, key, file, path, url in (
        ("database", "databaseCa", settings.database_ca, constants.DATABASE_CA_PATH, constants.DATABASE_CA_URL),
        ("cache", "cacheCa", settings.cache_ca, constants.CACHE_CA_PATH, ""),
    ):
        if store not in stores:
            continue
        if file:
            extra[f"{store}.pem"] = settings.read_pem(key, file)
            lines.append(f"COPY --chmod=0644 {KIT_FOLDER}/{store}.pem {path}")
        elif url:
            lines.append(f"ADD --chmod=0644 {url} {path}")
    return extra, "".join(f"{line}\n" for line in lines)


def _pinned_base_image(settings: Settings, image: str) -> str:
    """Returns the image by its digest in docker/pins.yaml, if `pinImages` is true."""
    return image_digests.load_image_digests().pinned(image) if settings.pin_images else image


def _base_image_refresh_date(settings: Settings) -> str:
    return image_digests.load_image_digests().refreshed if settings.pin_images else ""


def _optional_dependencies(source: Path) -> set[str]:
    """Returns the names of the optional dependency groups in the app's pyproject.toml."""
    file = source / "pyproject.toml"
    if not file.is_file():
        return set()
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    return set(project.get("optional-dependencies", {}))

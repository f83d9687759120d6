"""The app's image, begun while Pulumi is being built: `pulumi up` finds its layers there."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from slipway.config.app_spec.app import AppSpec
from slipway.config.project import run_dir
from slipway.config.settings import Settings
from slipway_local.step_timer import run_command, step


def prebuild_image(app: AppSpec, settings: Settings, docker: Path) -> None:
    """Builds all of it but what the local AWS has yet to sign: the certificates of its stores are its last layers.

    Raises `SlipwayError` with the build's last lines.
    """
    from slipway.components.build_context import KIT_FOLDER
    from slipway.components.container_image import (  # seconds of pulumi_aws, for a first `up` alone
        prepare_build_context,
        read_ca_bundle,
    )
    from slipway.components.outputs import RepositoryOutputs
    from slipway.program.component_args.images import app_image_args
    from slipway_local.provider.types.docker_build import build_options

    args = app_image_args(app, settings, registry=RepositoryOutputs("", ""), hooks=None, stores=())
    if args.digest:
        return
    bundle = read_ca_bundle(args.dockerfile)
    name = f"slipway-prebuilt-{os.getpid()}"
    with step("The app's image, meanwhile"), tempfile.TemporaryDirectory() as scratch:
        copy, _ = prepare_build_context("prebuilt", args)
        given = {
            "context": {"location": str(copy)},
            "dockerfile": {"location": str(copy / KIT_FOLDER / "Dockerfile")},
            "buildArgs": args.build_args,
            "network": args.network,
            "tags": [name],
            "secrets": {"ca": bundle} if bundle else {},
        }
        log = run_dir() / "log" / "image-build.log"
        environment = os.environ | {"DOCKER_BUILDKIT": "1"}
        command = [str(docker), "build", *build_options(given, Path(scratch))]
        run_command(command, "The image does not build", log=log, env=environment)
    # The layers stay in BuildKit's cache.
    subprocess.run([docker, "image", "rm", name], check=True, capture_output=True)

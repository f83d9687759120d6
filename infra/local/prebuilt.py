"""The app's image, begun while Pulumi is being built: `pulumi up` finds its layers there."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from infra.app import App
from infra.local.paths import run_dir
from infra.local.progress import run, step
from infra.settings import Settings


def begin(app: App, settings: Settings, docker: Path) -> None:
    """Build all of it but what the local AWS has yet to sign: the certificates of its stores are its last layers.

    Raises `SlipwayError` with the build's last lines.
    """
    from infra.components.build_context import KIT_FOLDER
    from infra.components.image import ImageArgs, ca_bundle, context_of  # seconds of pulumi_aws, for a first `up` alone
    from infra.foundation import RegistryFacts
    from infra.local.provider.types.docker_build import options

    args = ImageArgs.of_the_app(app, settings, registry=RegistryFacts("", ""), hooks=None, stores=())
    if args.digest:
        return
    bundle, name = ca_bundle(args.dockerfile), f"slipway-prebuilt-{os.getpid()}"
    with step("The app's image, meanwhile"), tempfile.TemporaryDirectory() as scratch:
        copy, _ = context_of("prebuilt", args)
        given = {
            "context": {"location": str(copy)},
            "dockerfile": {"location": str(copy / KIT_FOLDER / "Dockerfile")},
            "buildArgs": args.build_args,
            "network": args.network,
            "tags": [name],
            "secrets": {"ca": bundle} if bundle else {},
        }
        log, environment = run_dir() / "log" / "image-build.log", os.environ | {"DOCKER_BUILDKIT": "1"}
        command = [str(docker), "build", *options(given, Path(scratch))]
        run(command, "The image does not build", log=log, env=environment)
    # The layers stay in BuildKit's cache.
    subprocess.run([docker, "image", "rm", name], check=True, capture_output=True)

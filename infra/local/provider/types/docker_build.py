"""docker-build: the image, built with BuildKit over the docker CLI and pushed to the local registry."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import threading
from collections import deque
from pathlib import Path

from infra.local.docker_engine import buildkit_client
from infra.local.provider.kind import Cancelled, Context, Kind, Properties, Refused, set_of

LINES = 40
"""How many of a failed build's last lines the error shows."""
BUILD_SECONDS = 1800
LOCAL = ("localhost", "127.0.0.1")


class Image(Kind):
    """Rebuilt when a file that the build sees, the Dockerfile, an argument or the target changes.

    `contextHash` follows from these, so that nothing changed means no diff and no build.
    """

    type_name = "docker-build:index:Image"
    inputs = set_of(
        "context dockerfile buildArgs platforms secrets network tags registries push buildOnPreview target contextHash"
    )
    # The registry's password is another one in each run; a secret is no part of what is built.
    uncompared = set_of("registries secrets buildOnPreview")
    secret = set_of("secrets")
    input_only = set_of("secrets")
    moving = set_of("digest ref contextHash")

    def prepare(self, aws: Context, given: Properties) -> Properties:
        context, dockerfile = Path(given["context"]["location"]), Path(given["dockerfile"]["location"])
        for path in (context, dockerfile):
            if not path.exists():
                raise Refused(f"{path} does not exist")
        return given | {"contextHash": _context_hash(context, dockerfile)}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        digest = _build_and_push(aws, given)
        return digest, self._outputs(given, digest)

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        """Gone when the registry has no such tag any more."""
        for tag in known.get("tags") or []:
            repository, _, name = tag.split("/", 1)[1].rpartition(":")
            try:
                aws("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": name}])
            except aws("ecr").exceptions.ClientError:
                return None
        return dict(known)

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        return self._outputs(new, _build_and_push(aws, new))

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """The registry's images go with their repository, and Docker's copies are a cache."""

    def _outputs(self, given: Properties, digest: str) -> Properties:
        return {"digest": digest, "ref": f"{given['tags'][0]}@{digest}"}


def _context_hash(context: Path, dockerfile: Path) -> str:
    from docker.utils.build import exclude_paths  # of all types only this one needs it, and it brings much along

    ignore = next((p for p in (Path(f"{dockerfile}.dockerignore"), context / ".dockerignore") if p.exists()), None)
    patterns = []
    if ignore:
        lines = (line.strip() for line in ignore.read_text().splitlines())
        patterns = [line for line in lines if line and not line.startswith("#")]
    digest = hashlib.sha256(dockerfile.read_bytes())
    digest.update("\n".join(patterns).encode())
    for name in sorted(exclude_paths(str(context), patterns)):
        path = context / name
        if path.is_file():
            mode = "x" if path.stat().st_mode & 0o100 else "-"
            digest.update(f"\0{name} {mode}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _build_and_push(aws: Context, given: Properties) -> str:
    tags = given.get("tags") or []
    if not tags or not given.get("push"):
        raise Refused("the local provider builds images that are tagged and pushed")
    for tag in tags:
        if tag.split(":")[0].split("/")[0] not in LOCAL:
            raise Refused(f"{tag} is not in the local registry: the local provider pushes nowhere else")
    docker = os.environ.get("SLIPWAY_DOCKER") or str(buildkit_client() or "docker")  # none is named to plain `pulumi`
    with tempfile.TemporaryDirectory() as scratch:
        _run(aws, [docker, "build", *options(given, Path(scratch))], "The image does not build")
    digest = ""
    for tag in tags:
        told = _run(aws, [docker, "push", tag], f"{tag} cannot be pushed")
        found = re.search(r"digest: (sha256:[0-9a-f]{64})", told)
        digest = found[1] if found else ""
    if not digest:
        raise Refused(f"docker push of {tags[-1]} told no digest")
    return digest


def options(given: Properties, scratch: Path) -> list[str]:
    """The options of `docker build`. Secrets go through files that only this user reads, never through arguments."""
    found = ["--file", given["dockerfile"]["location"]]
    for key, value in sorted((given.get("buildArgs") or {}).items()):
        found += ["--build-arg", f"{key}={value}"]
    for tag in given.get("tags") or []:
        found += ["--tag", tag]
    for platform in given.get("platforms") or []:
        found += ["--platform", platform]
    if given.get("network"):
        found += ["--network", given["network"]]
    if given.get("target"):
        found += ["--target", given["target"]]
    for key, value in (given.get("secrets") or {}).items():
        path = scratch / key
        path.touch(mode=0o600)
        path.write_text(value)
        found += ["--secret", f"id={key},src={path}"]
    return [*found, "--progress", "plain", given["context"]["location"]]


def _run(aws: Context, command: list[str], failure: str) -> str:
    """Run docker until it ends or the user interrupts; an error shows its own last lines."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
    )
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.extend(process.stdout or []), daemon=True)
    reader.start()
    try:
        aws.wait(lambda: process.poll() is not None, BUILD_SECONDS, " ".join(command[:2]))
    except (Cancelled, TimeoutError):
        process.terminate()
        process.wait()
        raise
    reader.join()
    if process.returncode:
        lines = "".join(deque(told, maxlen=LINES)).rstrip()
        raise Refused(f"{failure}. The last lines of {' '.join(command[:2])}:\n{lines}")
    return "".join(told)

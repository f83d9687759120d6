"""docker-build: the image, built with BuildKit over the docker CLI and pushed to the local registry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import threading
from collections import deque
from pathlib import Path

from slipway_local.docker_engine import find_buildkit_client
from slipway_local.provider.resource_type import (
    OperationCancelled,
    Properties,
    ProviderContext,
    ResourceType,
    UnsupportedOperation,
    property_names,
)

ERROR_LINES = 40
"""How many of a failed build's last lines the error shows."""
BUILD_TIMEOUT_SECONDS = 1800
LOCAL_REGISTRY_HOSTS = ("localhost", "127.0.0.1")


class ContainerImageResource(ResourceType):
    """Rebuilt when a file that the build sees, the Dockerfile, an argument or the target changes.

    `contextHash` follows from these, so that nothing changed means no diff and no build.
    """

    type_name = "docker-build:index:Image"
    inputs = property_names(
        "context dockerfile buildArgs platforms secrets network tags registries push buildOnPreview target contextHash"
    )
    # The registry's password is another one in each run; a secret is no part of what is built.
    ignored_in_diff = property_names("registries secrets buildOnPreview")
    secret_properties = property_names("secrets")
    input_only_properties = property_names("secrets")
    changing_outputs = property_names("digest ref contextHash")

    def prepare(self, aws: ProviderContext, inputs: Properties) -> Properties:
        context = Path(inputs["context"]["location"])
        dockerfile = Path(inputs["dockerfile"]["location"])
        for path in (context, dockerfile):
            if not path.exists():
                raise UnsupportedOperation(f"{path} does not exist")
        return inputs | {"contextHash": _context_hash(context, dockerfile)}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        digest = _build_and_push(aws, inputs)
        return digest, self._outputs(inputs, digest)

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        """Gone when the registry has no such tag any more."""
        for tag in state.get("tags") or []:
            repository, _, name = tag.split("/", 1)[1].rpartition(":")
            try:
                aws("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": name}])
            except aws("ecr").exceptions.ClientError:
                return None
        return dict(state)

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        return self._outputs(new, _build_and_push(aws, new))

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """Do nothing: images go with their repository, and Docker's copies are a cache."""

    def _outputs(self, inputs: Properties, digest: str) -> Properties:
        return {"digest": digest, "ref": f"{inputs['tags'][0]}@{digest}"}


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


def _build_and_push(aws: ProviderContext, inputs: Properties) -> str:
    tags = inputs.get("tags") or []
    if not tags or not inputs.get("push"):
        raise UnsupportedOperation("the local provider builds images that are tagged and pushed")
    for tag in tags:
        if tag.split(":")[0].split("/")[0] not in LOCAL_REGISTRY_HOSTS:
            raise UnsupportedOperation(f"{tag} is not in the local registry: the local provider pushes nowhere else")
    docker = os.environ.get("SLIPWAY_DOCKER") or str(
        find_buildkit_client() or "docker"
    )  # none is named to plain `pulumi`
    with tempfile.TemporaryDirectory() as scratch:
        _run(aws, [docker, "build", *build_options(inputs, Path(scratch))], "The image does not build")
    digest = ""
    for tag in tags:
        told = _push(aws, docker, tag, inputs)
        resource = re.search(r"digest: (sha256:[0-9a-f]{64})", told)
        digest = resource[1] if resource else ""
    if not digest:
        raise UnsupportedOperation(f"docker push of {tags[-1]} reported no digest")
    return digest


def _push(aws: ProviderContext, docker: str, tag: str, inputs: Properties) -> str:
    """Pushes an image and returns Docker's output. In a role's session by the role's password.

    Docker shows a password only to a registry that asks for one: the local one does so on the address 127.0.0.1.
    """
    if not aws.has_role:
        return _run(aws, [docker, "push", tag], f"{tag} cannot be pushed")
    address = f"127.0.0.1:{aws.port}"
    name = f"{address}/{tag.split('/', 1)[1]}"
    with tempfile.TemporaryDirectory() as folder:
        _write_login(Path(folder), address, inputs)
        _run(aws, [docker, "tag", tag, name], f"{tag} cannot be tagged")
        try:
            return _run(aws, [docker, "--config", folder, "push", name], f"{tag} cannot be pushed")
        finally:
            _run(aws, [docker, "rmi", "--no-prune", name], f"{name} cannot be removed")


def _write_login(folder: Path, address: str, inputs: Properties) -> None:
    """Writes Docker's configuration with the login of the image's registry, and else as this user has it."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    for entry in own.iterdir() if own.is_dir() else ():
        if entry.name != "config.json":
            (folder / entry.name).symlink_to(entry)
    config = json.loads((own / "config.json").read_text()) if (own / "config.json").exists() else {}
    config.pop("credsStore", None)  # it would be asked instead of the file
    (login,) = inputs["registries"]
    encoded = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
    config["auths"] = {**config.get("auths", {}), address: {"auth": encoded}}
    (folder / "config.json").write_text(json.dumps(config))


def build_options(inputs: Properties, scratch: Path) -> list[str]:
    """Returns the options of `docker build`; secrets are files that only this user reads, never arguments."""
    resource = ["--file", inputs["dockerfile"]["location"]]
    for key, value in sorted((inputs.get("buildArgs") or {}).items()):
        resource += ["--build-arg", f"{key}={value}"]
    for tag in inputs.get("tags") or []:
        resource += ["--tag", tag]
    for platform in inputs.get("platforms") or []:
        resource += ["--platform", platform]
    if inputs.get("network"):
        resource += ["--network", inputs["network"]]
    if inputs.get("target"):
        resource += ["--target", inputs["target"]]
    for key, value in (inputs.get("secrets") or {}).items():
        path = scratch / key
        path.touch(mode=0o600)
        path.write_text(value)
        resource += ["--secret", f"id={key},src={path}"]
    return [*resource, "--progress", "plain", inputs["context"]["location"]]


def _run(aws: ProviderContext, command: list[str], failure: str) -> str:
    """Runs docker until it ends or the user interrupts; an error shows its own last lines."""
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
        aws.wait(lambda: process.poll() is not None, BUILD_TIMEOUT_SECONDS, " ".join(command[:2]))
    except (OperationCancelled, TimeoutError):
        process.terminate()
        process.wait()
        raise
    reader.join()
    if process.returncode:
        lines = "".join(deque(told, maxlen=ERROR_LINES)).rstrip()
        raise UnsupportedOperation(f"{failure}. The last lines of {' '.join(command[:2])}:\n{lines}")
    return "".join(told)

"""Runs Pulumi on previews: with the local environment's backend, or with the shell's."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LocalAws, find_local_aws
from slipway.config.project import link_project, project_name, project_root, run_dir
from slipway.config.stack_config import dump_stack_file, read_stack_config
from slipway.previews.stack_tags import BASE_TAG, KIND_TAG, PREVIEW_KIND
from slipway.previews.state_files import is_state_read_error, list_state_files
from slipway.release.pulumi_cli import run_pulumi, run_pulumi_attached

NO_SUCH_STACK = "no stack named"
"""Pulumi's message for a missing stack."""
SECRETS_PROVIDER_KEYS = {
    "passphrase": {"salt": "encryptionsalt"},
    "cloud": {"url": "secretsprovider", "encryptedkey": "encryptedkey"},
}
"""Secrets provider of a state -> keys of the stack file, and the place of their values in the state."""


@dataclass(frozen=True)
class PulumiBackend:
    """Pulumi with the environment variables of one backend."""

    binary: str
    environment: Mapping[str, str]
    local_aws: LocalAws | None = None
    """Set for stacks on the local AWS."""

    def ask(self, *arguments: str, folder: Path | None = None, typed: str | None = None) -> str:
        """Returns a command's standard output. Raises `SlipwayError` with its error output if it fails."""
        return run_pulumi(arguments, folder, binary=self.binary, environment=self.environment, typed=typed)

    def run(self, *arguments: str, folder: Path, log: Path | None = None) -> None:
        """Runs a command with its output in the file `log`, else on standard error, because standard output has the
        result of the slipway command.

        Raises `SlipwayError` if it fails.
        """
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("w")) if log else 2
            code = run_pulumi_attached(
                arguments, folder, binary=self.binary, environment=self.environment, output=output
            )
        if code:
            lines = "".join(log.open(errors="replace").readlines()[-20:]) if log else "The reason is above."
            raise SlipwayError(
                f"`pulumi {arguments[0]}` ended with {code}. {lines}".rstrip(),
                "Fix it and run the same command again; if Pulumi was killed, first: "
                f"pulumi cancel --stack {arguments[-1]}",
            )

    def previews(self, base: str = "") -> list[str]:
        """Returns the names of the previews' stacks, of the environment `base` if given.

        Filters by one tag only, because the caller may lack permission to read other stacks' states. With `base`, the
        list includes stacks that have claimed a place and lack the other tags. Skips damaged states.
        """
        tag, value = (BASE_TAG, base) if base else (KIND_TAG, PREVIEW_KIND)
        try:
            listed = json.loads(self.ask("stack", "ls", "--json", "--tag", f"{tag}={value}"))
        except SlipwayError as error:
            stacks = self._list_past_damaged_states(error)
            return [stack for stack in stacks if (self.find_tags(stack) or {}).get(tag) == value]
        return [str(stack["name"]).rsplit("/", 1)[-1] for stack in listed]

    def _list_past_damaged_states(self, error: SlipwayError) -> list[str]:
        if not is_state_read_error(error.message):
            raise error
        files = list_state_files(self.url(), project_name())
        if not files:
            raise error
        return sorted(files)

    def url(self) -> str:
        """Returns the backend's URL."""
        return str(json.loads(self.ask("whoami", "--json"))["url"])

    def has(self, stack: str) -> bool:
        """Whether the stack exists."""
        return self.find_tags(stack) is not None

    def find_tags(self, stack: str) -> dict[str, str] | None:
        """Returns a stack's tags; None if it does not exist."""
        try:
            return self.tags(stack)
        except SlipwayError as error:
            if NO_SUCH_STACK in error.message:
                return None
            raise

    def tags(self, stack: str) -> dict[str, str]:
        """Returns a stack's tags. Raises `SlipwayError` if it does not exist."""
        tags: dict[str, str] = json.loads(self.ask("stack", "tag", "ls", "--json", "--stack", stack) or "{}")
        return tags

    def state(self, stack: str) -> Any:
        """Returns a stack's state with encrypted secrets. Raises `SlipwayError`, with the file if it is damaged."""
        try:
            return json.loads(self.ask("stack", "export", "--stack", stack))
        except SlipwayError as error:
            if not is_state_read_error(error.message):
                raise
            file = list_state_files(self.url(), project_name()).get(stack, f"of {stack}")
            reason = error.message.strip().rsplit("\n", 1)[-1].removeprefix("error: ")
            raise SlipwayError(
                f"the state file {file} is damaged ({reason}).",
                f"Pulumi keeps the previous state in {file}.bak: copy it over {file}.",
            ) from None


def open_backend(base: str = "") -> PulumiBackend:
    """Returns the backend of previews on `base`. Default: the local one if its environment is up, else the shell's."""
    local_aws = find_local_aws()
    if local_aws and (base == local_aws.stack or (not base and local_aws.has_stack())):
        return PulumiBackend(*local_aws.enter_with_docker(), local_aws)
    return PulumiBackend("pulumi", os.environ)


def ensure_project_folder(stack: str) -> Path:
    """Returns the folder of a preview's own Pulumi project, whose stack file is not committed."""
    folder = run_dir() / "previews" / stack
    link_project(folder)
    return folder


def write_stack_file(engine: PulumiBackend, stack: str, config: Mapping[str, Any]) -> None:
    """Writes the preview's stack file: `config`, and the encryption key of its state."""
    provider = (engine.state(stack)["deployment"] or {}).get("secrets_providers") or {}
    keys = SECRETS_PROVIDER_KEYS.get(provider.get("type", ""), {})
    values = {name: (provider.get("state") or {}).get(key, "") for key, name in keys.items()}
    content = {**{name: value for name, value in values.items() if value}, "config": dict(config)}
    file = ensure_project_folder(stack) / "stacks" / f"Pulumi.{stack}.yaml"
    file.write_text(dump_stack_file(content), encoding="utf-8")


def set_secret(engine: PulumiBackend, stack: str, path: str, value: str) -> None:
    """Sets an encrypted key of the preview's stack file; passes the value to Pulumi on standard input."""
    engine.ask(
        "config", "set", "--secret", "--path", path, "--stack", stack, folder=ensure_project_folder(stack), typed=value
    )


def build_preview_config(base: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a preview's configuration: its environment's stack file, then stacks/Pulumi.preview.yaml, then `own`.

    Raises `SlipwayError` if one of the files is missing.
    """
    merged: dict[str, Any] = {}
    for name in (base, "preview"):
        file = project_root() / "stacks" / f"Pulumi.{name}.yaml"
        if not file.exists():
            raise SlipwayError(
                f"The stack file {file.relative_to(project_root())} is missing: a preview's configuration includes it.",
                "Commit that file, or name another environment with --base.",
            )
        config = read_stack_config(name)
        if name == base:
            for key in ("secrets", f"{project_name()}:secrets"):
                config.pop(key, None)  # only the environment's key decrypts them
        for key, value in config.items():
            full_key = key if ":" in key else f"{project_name()}:{key}"
            are_maps = isinstance(value, dict) and isinstance(merged.get(full_key), dict)
            merged[full_key] = {**merged[full_key], **value} if are_maps else value
    return merged | {f"{project_name()}:{key}": value for key, value in own.items()}


def ensure_no_encrypted_values(base: str, config: Mapping[str, Any]) -> None:
    """Refuses a preview's configuration with values that only its environment's own passphrase or key decrypts.

    Raises `SlipwayError` with their keys.
    """
    keys = sorted(key for key, value in config.items() if isinstance(value, dict) and "secure" in value)
    if keys:
        raise SlipwayError(
            f"stacks/Pulumi.{base}.yaml encrypts {', '.join(keys)} for {base} alone, and a preview's configuration "
            "starts from that file.",
            f"pulumi config rm {keys[0]} --stack {base}, and give credentials by aws:profile or the AWS_* variables; "
            "or set it unencrypted in stacks/Pulumi.preview.yaml.",
        )


@contextlib.contextmanager
def lock_preview(stack: str) -> Iterator[None]:
    """Holds the lock of a preview: one command at a time. The kernel releases it when the process ends.

    Raises `SlipwayError` if another command holds it.
    """
    with _open_lock_file(stack) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SlipwayError(
                f"Another slipway command is running on the preview {stack}.", "Wait until it ends."
            ) from None
        yield


@contextlib.contextmanager
def lock_base(base: str) -> Iterator[None]:
    """Waits for and holds the lock of an environment's places: for seconds, never during an `up`.

    The lock covers this checkout only. `claim_place` detects other machines with its second count.
    """
    with _open_lock_file(f"base-{base}") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open_lock_file(name: str) -> IO[str]:
    folder = run_dir() / "previews"
    folder.mkdir(exist_ok=True)
    return (folder / f"{name}.lock").open("a+")

"""Running the Pulumi engine on previews: that of this machine's own environment, or `pulumi` as it is set up."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.engine import answer
from infra.errors import SlipwayError
from infra.local import engine as local_engine
from infra.local.docker_engine import ensure_docker
from infra.local.paths import ROOT, link_project, project, run_dir
from infra.local.session import STACK, Session, open_session

ENCRYPTION = {
    "passphrase": {"salt": "encryptionsalt"},
    "cloud": {"url": "secretsprovider", "encryptedkey": "encryptedkey"},
}
"""Of a state's secrets provider, what stands in a stack's file, and as what."""


@dataclass(frozen=True)
class Engine:
    """Pulumi with the variables that lead to the stacks of one backend."""

    binary: str
    environment: Mapping[str, str]
    session: Session | None = None
    """Of this machine's own environment."""

    def ask(self, *arguments: str, folder: Path = ROOT, typed: str | None = None) -> str:
        """Its answer on standard output; its words as a `SlipwayError` when it fails."""
        return answer(arguments, folder, binary=self.binary, environment=self.environment, typed=typed)

    def run(self, *arguments: str, folder: Path, log: Path | None = None) -> None:
        """With its output on standard error, for a command's own answer is on standard output; or in the file `log`."""
        command = [self.binary, *arguments]
        with contextlib.ExitStack() as opened:
            into: Any = opened.enter_context(log.open("w")) if log else 2
            code = subprocess.run(command, cwd=folder, env=dict(self.environment), stdout=into, stderr=into).returncode
        if code:
            told = "".join(log.open(errors="replace").readlines()[-20:]) if log else "What failed stands above."
            raise SlipwayError(
                f"`pulumi {arguments[0]}` ended with {code}. {told}".rstrip(), "Mend it and run the same command again."
            )

    def stacks(self, *filters: str) -> list[str]:
        """The names of the project's stacks."""
        found = json.loads(self.ask("stack", "ls", "--json", *filters))
        return [str(each["name"]).rsplit("/", 1)[-1] for each in found]

    def has(self, stack: str) -> bool:
        """Whether there is such a stack."""
        return stack in self.stacks()

    def tags(self, stack: str) -> dict[str, str]:
        """A stack's tags."""
        found: dict[str, str] = json.loads(self.ask("stack", "tag", "ls", "--json", "--stack", stack))
        return found

    def state(self, stack: str) -> Any:
        """A stack's state; secrets stay encrypted."""
        return json.loads(self.ask("stack", "export", "--stack", stack))


def open_engine(base: str = "") -> Engine:
    """The engine for previews on `base`; without one: of this machine's environment where that is up, else `pulumi`."""
    if base == STACK or (not base and local_engine.stack_exists()):
        session = open_session(ensure_docker())
        os.environ.update(session.environ())
        return Engine(str(session.toolchain.pulumi), session.environ(), session)
    return Engine("pulumi", os.environ)


def folder_of(stack: str) -> Path:
    """A project of the preview's own: its stack file is nothing to commit."""
    folder = run_dir() / "previews" / stack
    link_project(folder)
    return folder


def write_stack_file(engine: Engine, stack: str, config: Mapping[str, Any]) -> None:
    """The preview's stack file with `config`, and with the key that its state is encrypted with."""
    provider = (engine.state(stack)["deployment"] or {}).get("secrets_providers") or {}
    names = ENCRYPTION.get(provider.get("type", ""), {})
    kept = {name: (provider.get("state") or {}).get(key, "") for key, name in names.items()}
    content = {**{name: value for name, value in kept.items() if value}, "config": dict(config)}
    (folder_of(stack) / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content))


def set_secret(engine: Engine, stack: str, path: str, value: str) -> None:
    """Into the preview's stack file, encrypted; the engine reads the value from its standard input."""
    engine.ask("config", "set", "--secret", "--path", path, "--stack", stack, folder=folder_of(stack), typed=value)


def config_of(base: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """What a preview is configured with: its environment's file, stacks/Pulumi.preview.yaml over it, then `own`."""
    found: dict[str, Any] = {}
    for name in (base, "preview"):
        file = ROOT / "stacks" / f"Pulumi.{name}.yaml"
        if not file.exists():
            raise SlipwayError(f"There is no stack file {file.relative_to(ROOT)}.", "A preview starts from it.")
        given = (yaml.safe_load(file.read_text()) or {}).get("config") or {}
        if name == base:
            given.pop("secrets", None)  # the environment's own, and only its key opens them
        for key, value in given.items():
            whole = key if ":" in key else f"{project()}:{key}"
            both = isinstance(value, dict) and isinstance(found.get(whole), dict)
            found[whole] = {**found[whole], **value} if both else value
    return found | {f"{project()}:{key}": value for key, value in own.items()}


@contextlib.contextmanager
def alone(stack: str) -> Iterator[None]:
    """One command at a time on a preview; the kernel lets go of the lock with the process."""
    folder = run_dir() / "previews"
    folder.mkdir(exist_ok=True)
    with (folder / f"{stack}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SlipwayError(
                f"Another slipway is working on the preview {stack}.", "Wait until it has ended."
            ) from None
        yield

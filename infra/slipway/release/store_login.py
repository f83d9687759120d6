"""How a person logs in to a stack's database or cache through a tunnel, without seeing a password.

The database's login is made for the occasion by the kit's own task, which alone has the owner's password, and dropped
afterwards. The cache has one token, which Secrets Manager gives to whom IAM lets read it.
"""

from __future__ import annotations

import getpass
import json
import re
import secrets
import shlex
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.config import constants
from slipway.config.errors import SlipwayError
from slipway.config.project import make_private_dir, project_root, run_dir
from slipway.config.scram import scram_verifier
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.deployed_stack import DeployedStack
from slipway.release.standalone_task import StandaloneTask, run_concurrent_task

CONTAINER = "connect"
"""The container of the task that makes logins; it runs docker/database."""
LOGIN_HOURS = 12
"""After which a login ends that was not dropped: the laptop slept, or lost its network."""
DOWNLOAD_SECONDS = 30


@dataclass(frozen=True)
class DatabaseLogin:
    """A role that was made for one person."""

    user: str
    password: str = field(repr=False)


@contextmanager
def database_login(stack: DeployedStack, database: Mapping[str, Any], *, write: bool) -> Iterator[DatabaseLogin]:
    """Makes a login of the database, and drop it at the end. `database`: of the stack output `connect`.

    Without `write` it reads only. Raises `SlipwayError` where the task that makes it fails.
    """
    login = DatabaseLogin(_login_name(), secrets.token_urlsafe(32))
    variables = {
        "ACTION": "open",
        "NAME": login.user,
        "VERIFIER": scram_verifier(login.password),
        "WRITE": str(write).lower(),
        "HOURS": str(LOGIN_HOURS),
    }
    try:
        _run_login_task(stack, database, variables)
        yield login
    finally:
        _run_login_task(stack, database, {"ACTION": "close", "NAME": login.user})


def _login_name() -> str:
    """Returns a role's name that says whose it is, and is no one else's: two people may connect at once."""
    try:
        person = getpass.getuser()
    except (OSError, KeyError):  # no such user, as in a container
        person = ""
    return f"connect_{re.sub('[^a-z0-9]', '', person.lower())[:20] or 'somebody'}_{secrets.token_hex(4)}"


def _run_login_task(stack: DeployedStack, database: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    task = StandaloneTask(
        stack.cluster,
        database["login"]["taskDefinition"],
        database["login"]["network"],
        environment={CONTAINER: variables},
        subject=f"Login: {variables['ACTION']} {variables['NAME']}",
        fix="The task is the kit's own: check that the database is up, then run the same command again.",
        consequence=f"A login that was made ends by itself after {LOGIN_HOURS} h",
        started_by="slipway-connect",
    )
    run_concurrent_task(stack.aws, task, lambda _: None)


def read_cache_password(stack: DeployedStack, cache: Mapping[str, Any]) -> str:
    """Returns the cache's token, as the caller's own rights let them. Raises `SlipwayError` where they do not."""
    *arn, key, _, version = str(cache["password"]).split(":")
    with aws_errors_as_slipway_errors():
        secret = stack.aws.client("secretsmanager").get_secret_value(
            SecretId=":".join(arn), **({"VersionId": version} if version else {})
        )
    return str(json.loads(secret["SecretString"])[key])


def write_private_file(folder: Path, name: str, text: str) -> Path:
    """Writes a file that only this user may read."""
    file = folder / name
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    return file


def database_ca_file(database: Mapping[str, Any]) -> Path:
    """Returns the file of the CAs that sign the database's certificate; RDS's own are downloaded once.

    Raises `SlipwayError` where that is not possible.
    """
    if database["ca"]:
        return _existing_file(database["ca"])
    file = make_private_dir(run_dir() / "ca") / "rds-global-bundle.pem"
    if not file.exists():
        try:
            with urllib.request.urlopen(constants.DATABASE_CA_URL, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - https
                text = answer.read()
        except OSError as error:
            raise SlipwayError(
                f"RDS's certificate authorities cannot be downloaded: {error}.",
                f"Save {constants.DATABASE_CA_URL} as {file}.",
            ) from None
        file.write_bytes(text)
    return file


def cache_ca_file(cache: Mapping[str, Any]) -> Path | None:
    """Returns the file of the CA that signs the cache's certificate; None for the machine's own CAs."""
    return _existing_file(cache["ca"]) if cache["ca"] else None


def _existing_file(path: str) -> Path:
    file = project_root() / path
    if not file.is_file():
        raise SlipwayError(
            f"There is no {path}, which the stack's file names.",
            f"Restore it in the project's folder, or correct its path: {file}",
        )
    return file


def database_environment(
    database: Mapping[str, Any], login: DatabaseLogin, local_port: int, folder: Path
) -> dict[str, str]:
    """Returns libpq's variables, with the password in a file of `folder`.

    The certificate is compared with the database's own name, and the connection goes to the tunnel (PGHOSTADDR).
    """
    host, name = database["host"], database["name"]
    fields = [part.replace("\\", "\\\\").replace(":", "\\:") for part in (host, str(local_port), name, login.user)]
    passfile = write_private_file(folder, "pgpass", ":".join([*fields, login.password]) + "\n")
    return {
        "PGHOST": host,
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": str(local_port),
        "PGDATABASE": name,
        "PGUSER": login.user,
        "PGPASSFILE": str(passfile),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(database_ca_file(database)),
    }


def psql_line(environment: Mapping[str, str]) -> str:
    """Returns the command that connects, to be pasted into a shell."""
    words = {
        "host": "PGHOST",
        "hostaddr": "PGHOSTADDR",
        "port": "PGPORT",
        "dbname": "PGDATABASE",
        "user": "PGUSER",
        "passfile": "PGPASSFILE",
        "sslmode": "PGSSLMODE",
        "sslrootcert": "PGSSLROOTCERT",
    }
    return "psql " + shlex.quote(" ".join(f"{word}={_quoted(environment[name])}" for word, name in words.items()))


def _quoted(value: str) -> str:
    """Returns a value of a libpq connection string."""
    return value if re.fullmatch(r"[\w./:-]+", value) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def redis_cli_line(cache: Mapping[str, Any], local_port: int, password_file: Path) -> str:
    """Returns the command that connects, to be pasted into a shell. redis-cli checks the chain, not the name."""
    words = ["redis-cli", "-h", "127.0.0.1", "-p", str(local_port), *redis_tls_options(cache)]
    return f'REDISCLI_AUTH="$(cat {shlex.quote(str(password_file))})" {shlex.join(words)}'


def redis_tls_options(cache: Mapping[str, Any]) -> list[str]:
    """Returns redis-cli's options of TLS."""
    ca = cache_ca_file(cache)
    return ["--tls", "--sni", cache["host"], *(["--cacert", str(ca)] if ca else [])]

"""In whose name the local provider works: the person's, in one account or another, or a job's role; and its pushes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway_local.provider import resource_type
from slipway_local.provider.invokes import INVOKES
from slipway_local.provider.resource_type import ProviderContext
from slipway_local.provider.types import docker_build

TOKEN = "aws:ecr/getAuthorizationToken:getAuthorizationToken"  # noqa: S105 - a function's name
ROLE = {"AWS_ACCESS_KEY_ID": "ASIA1", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}


class Ecr:
    """Gives out a role's password; STS says whose."""

    def get_authorization_token(self) -> Any:
        return {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:of-the-role").decode()}]}

    def get_caller_identity(self) -> Any:
        return {"Account": "222222222222"}


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ROLE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setattr(resource_type, "_client", lambda service, region: Ecr())
    resource_type._account.cache_clear()
    yield monkeypatch
    resource_type._account.cache_clear()


@pytest.mark.parametrize(
    ("key", "account"),
    [("test", "000000000000"), ("222222222222", "222222222222"), ("AKIAIOSFODNN7EXAMPLE", "000000000000")],
)
def test_a_person_works_in_the_account_of_the_key_and_never_with_a_real_one(
    shell: pytest.MonkeyPatch, key: str, account: str
) -> None:
    shell.setenv("AWS_ACCESS_KEY_ID", key)
    assert ProviderContext().account == account
    assert resource_type._credentials().access_key == (key if key == account else "test")
    assert INVOKES[TOKEN](ProviderContext(), {})["password"] == "local"  # noqa: S105 - the registry takes any


def test_a_job_works_in_the_account_of_its_role_and_pushes_by_its_password(shell: pytest.MonkeyPatch) -> None:
    for name, value in ROLE.items():
        shell.setenv(name, value)
    assert ProviderContext().account == "222222222222"
    assert INVOKES[TOKEN](ProviderContext(), {})["password"] == "of-the-role"  # noqa: S105 - a fake one


def test_a_jobs_login_is_beside_what_docker_is_set_up_with(
    shell: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = tmp_path_factory.mktemp("docker")
    (own / "contexts").mkdir()
    (own / "config.json").write_text(json.dumps({"currentContext": "desktop", "credsStore": "keychain"}))
    shell.setenv("DOCKER_CONFIG", str(own))
    login = {"address": "localhost:4566/app", "username": "AWS", "password": "of-the-role"}
    docker_build._write_login(tmp_path, "127.0.0.1:4566", {"registries": [login]})
    written = json.loads((tmp_path / "config.json").read_text())
    encoded = base64.b64encode(b"AWS:of-the-role").decode()
    assert written == {"currentContext": "desktop", "auths": {"127.0.0.1:4566": {"auth": encoded}}}
    assert (tmp_path / "contexts").resolve() == own / "contexts"

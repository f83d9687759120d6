"""Another machine's shell: what of it reaches the local environment, and what does not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import boto3
import pulumi
import pytest
import yaml

from slipway.release import aws_session
from slipway_local import env_filter
from slipway_local import session as sessions
from slipway_local.toolchain import Toolchain
from tests.paths import FIXTURES, ROOT

FOREIGN = {
    "AWS_PROFILE": "corp",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL_ECS": "https://ecs.us-east-1.amazonaws.com",
    "AWS_SESSION_TOKEN": "real",
    "AWS_CA_BUNDLE": "/nowhere",
    "AWS_WHAT_COMES_NEXT": "1",
    "PULUMI_ACCESS_TOKEN": "pul-real",
    "PULUMI_BACKEND_URL": "s3://real",
    "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere",
    "grpc_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
}

UNUSED_PORT = 4797


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> sessions.Session:
    """A session that was opened in such a shell."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    for name, value in (FOREIGN | {"SLIPWAY_RUN_DIR": str(tmp_path)}).items():
        os.environ[name] = value
    monkeypatch.setenv("SLIPWAY_PORT", str(UNUSED_PORT))  # another clone's local AWS may run on the default one
    monkeypatch.setattr(sessions, "ensure_pulumi", lambda: Toolchain([tmp_path], tmp_path / "pulumi", "none"))
    try:
        yield sessions.open_session()
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def test_nothing_of_another_account_or_backend_reaches_what_works_on_the_local_stack(session: sessions.Session) -> None:
    ours = {name for name in session.variables if name.startswith(("AWS_", "PULUMI_"))}
    for environment in (session.environ(), dict(os.environ)):
        assert {name for name in environment if name.startswith(("AWS_", "PULUMI_"))} == ours
        assert environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        assert environment["PULUMI_BACKEND_URL"].startswith("file://")
        assert not {"GOOGLE_APPLICATION_CREDENTIALS", "grpc_proxy"} & set(environment)


def test_boto3_talks_to_this_machine_whatever_profile_or_configuration_file_a_user_has(
    session: sessions.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nignore_configured_endpoint_urls = true\nregion = eu-west-1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    found = boto3.Session().client("ecs")
    assert found.meta.endpoint_url == session.variables["AWS_ENDPOINT_URL"]
    assert found.meta.region_name == "us-east-1"


@pytest.mark.usefixtures("session")
def test_what_a_kill_has_emptied_beside_a_state_of_before_is_taken_away() -> None:
    left = sessions.state_dir() / ".pulumi" / "pr-1.json.attrs"
    left.parent.mkdir()
    left.touch()
    sessions.open_session()
    assert not left.exists()


def test_a_proxy_stays_for_downloads_and_goes_around_this_machine(session: sessions.Session) -> None:
    environment = session.environ()
    assert environment["HTTP_PROXY"] == FOREIGN["HTTP_PROXY"]
    for name in ("NO_PROXY", "no_proxy"):
        assert {"127.0.0.1", "localhost", ".localhost"} <= set(environment[name].split(","))
    assert not {
        name
        for name in env_filter.filter_environment_without_proxies(FOREIGN)
        if name.upper() in env_filter.PROXY_VARIABLES
    }


def test_what_a_shell_has_around_its_proxy_already_is_kept() -> None:
    assert env_filter.filter_environment({"no_proxy": "git.corp"})["NO_PROXY"].split(",")[0] == "git.corp"
    assert env_filter.filter_environment({"NO_PROXY": "*"})["no_proxy"] == "*"


def test_eval_of_env_takes_out_of_a_shell_what_leads_elsewhere(session: sessions.Session) -> None:
    shown = 'eval "$1"; env'
    done = subprocess.run(
        ["bash", "-c", shown, "-", session.exports()],
        env=FOREIGN | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert {name for name in found if name.startswith(("AWS_", "PULUMI_"))} == {
        name for name in session.variables if name.startswith(("AWS_", "PULUMI_"))
    }
    assert "127.0.0.1" in found["NO_PROXY"]


LOCAL = yaml.safe_load((FIXTURES / "stacks" / "Pulumi.local.yaml").read_text())["config"]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell in which nothing says where to, whatever the tests before this one left in the process."""
    for name in {*FOREIGN, *env_filter.find_conflicting_variables(os.environ)}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.mark.parametrize("variables", [{}, {"AWS_ENDPOINT_URL": "http://192.0.2.1:9"}])
@pytest.mark.usefixtures("outside")
def test_a_hook_of_the_local_stack_sends_nothing_beyond_this_machine(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    aws = aws_session.create_aws_session({"region": "us-east-1", "allowedAccountIds": LOCAL["aws:allowedAccountIds"]})
    for service, call in (("ecs", "list_clusters"), ("s3", "list_buckets"), ("sts", "get_caller_identity")):
        with pytest.raises(RuntimeError, match="a request would have gone to"):
            getattr(aws.client(service), call)()


@pytest.mark.usefixtures("outside")
def test_a_hook_of_the_local_stack_reaches_this_machine() -> None:
    for host in ("127.0.0.1", "localhost", "name.alb.localhost"):
        aws_session._block_nonlocal_requests(SimpleNamespace(url=f"http://{host}:4566/"))


@pytest.mark.usefixtures("outside")
def test_a_profile_that_does_not_exist_is_an_error_for_a_person_before_anything_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "corp")
    with pytest.raises(pulumi.RunError, match=r"corp.*\n.*aws configure"):
        aws_session.open_stack_aws_session()


def test_a_clone_with_another_machines_line_ends_still_runs(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "made")], check=True)
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in (".gitattributes", "tools/setup", *(n for n in names if n.startswith("docker/local/"))):
        if (ROOT / name).is_file():
            (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "made" / name)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(tmp_path / "made")]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "all"], check=True)
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "--quiet", "-c", "core.autocrlf=true", str(tmp_path / "made"), str(clone)], check=True
    )
    files = [path for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert clone / "tools" / "setup" in files
    assert [path for path in files if b"\r\n" in path.read_bytes()] == []

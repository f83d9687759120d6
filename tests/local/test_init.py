"""`slipway init` from the wheel, outside this repository: from an app to its address, and back to nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from tests.local.team_project import COMMAND, build_wheel, team_project

pytestmark = pytest.mark.e2e

WRITTEN = {
    ".gitignore",
    "Pulumi.yaml",
    "infra/.slipway-init.json",
    "infra/__main__.py",
    "infra/pyproject.toml",
    "infra/uv.lock",
    "stacks/Pulumi.dev.yaml",
    "stacks/Pulumi.local.yaml",
    "stacks/Pulumi.prod.yaml",
    "stacks/Pulumi.staging.yaml",
    "stacks/app.yaml",
}
REQUESTS = {
    "monorepo": [("GET", "/orders", "", (200, '{"billing":"http://localhost"}'))],
    "poetry": [("GET", "/api/v1/accounts/", "", (200, "[]"))],
}
"""App of tests/apps -> method, path and body of requests, and what the app answers. One is one of two apps of its
repository, with requirements.txt and no store, one has Poetry's lock and alembic. The tutorial's test begins in an
empty folder, and `benchmarks.init_to_address` tries the other apps too."""
OF_A_MONOREPO = "services/orders"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit as it is published."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.parametrize("name", REQUESTS)
def test_one_init_and_one_up_bring_an_app_to_its_address(name: str, wheel: Path, tmp_path: Path) -> None:
    with team_project(name, tmp_path / name) as project:
        before = project.files()
        which = ["--app", OF_A_MONOREPO] if name == "monorepo" else []
        project.uv("tool", "run", "--from", str(wheel), "slipway", "init", "--yes", "--kit", str(wheel), *which)
        source = f"{OF_A_MONOREPO}/" if which else ""
        assert project.files() - before == {*WRITTEN, f"{source}.dockerignore"}
        project.uv("sync", "--quiet", "--project", "infra")
        stack_file = (project.root / "stacks" / "Pulumi.local.yaml").read_text()
        printed = project.slipway("up")
        now = (project.root / "stacks" / "Pulumi.local.yaml").read_text()
        assert re.sub(r"^encryptionsalt: .*\n", "", now, count=1, flags=re.MULTILINE) == stack_file != now
        assert f"  {COMMAND} status" in printed
        assert "make " not in printed[printed.index("Next:") :]
        status = project.status()
        assert (status["health"], status["troubles"]) == ("healthy", [])
        for method, path, body, answer in REQUESTS[name]:
            assert project.request(method, path, body, status["url"]) == answer
        assert "Nothing to change." in project.slipway("upgrade", "--kit", str(wheel))
    assert project.processes() == []
    ensure_docker()  # `down` has stopped the engine, if nothing else ran in it
    try:
        assert (project.containers(), project.volumes()) == ([], [])
    finally:
        stop_managed_docker()

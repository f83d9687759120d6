"""The stand-ins serve where the images that they stand for would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.config.app_spec.loader import load_app
from slipway.config.settings import Settings
from slipway_local import image_prebuild
from slipway_local.base_images import ensure_base_image
from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from tests.local.clone import docker_lines

pytestmark = pytest.mark.e2e

ORDINARY = """
FROM python:3.11-slim AS build
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --quiet idna==3.10

FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends media-types && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/site-packages
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home somebody
USER somebody
CMD ["python", "-c", "import idna, ssl, sqlite3; print(idna.__version__)"]
"""


def test_an_ordinary_dockerfile_builds_on_the_python_image_and_runs(tmp_path: Path) -> None:
    engine = ensure_docker()
    ensure_base_image("python:3.11-slim")
    (tmp_path / "Dockerfile").write_text(ORDINARY)
    (tmp_path / "requirements.txt").write_text("idna==3.10\n")
    docker = str(engine.client)
    build = [docker, "build", "--quiet", "--network", "host", str(tmp_path)]
    built = subprocess.run(build, capture_output=True, text=True, env={"DOCKER_BUILDKIT": "1", "PATH": "/usr/bin"})
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    try:
        for command in ([], ["/opt/venv/bin/python", "-c", "import idna; print(idna.__version__)"]):
            ran = subprocess.run([docker, "run", "--rm", image, *command], capture_output=True, text=True)
            assert ran.stdout.strip() == "3.10", ran.stderr
    finally:
        subprocess.run([docker, "image", "rm", "--force", image], check=True, capture_output=True)


def test_an_image_that_was_begun_while_pulumi_was_built_leaves_layers_and_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    settings, docker = Settings.from_files("local"), ensure_docker()
    try:
        for _ in range(2):
            image_prebuild.prebuild_image(load_app(settings), settings, docker.client)
        assert "CACHED" in (tmp_path / "log" / "image-build.log").read_text()
        assert docker_lines("images", "--quiet", "--filter", "reference=slipway-prebuilt-*") == []
    finally:
        stop_managed_docker()

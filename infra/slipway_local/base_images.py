"""Base images: pulled where a registry answers, else stand-ins from Debian packages (docker/local)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.specifiers import SpecifierSet

from slipway.config import constants
from slipway.config.errors import SlipwayError
from slipway.config.project import packaged_path, run_dir
from slipway_local.docker_engine import find_buildkit_client, install_apt_packages
from slipway_local.paths import cache_dir
from slipway_local.prometheus_build import ensure_prometheus
from slipway_local.step_timer import console, run_command, run_in_parallel, step

RECIPE_DIR = packaged_path("docker/local")
STAND_INS = {
    "python:3.11-slim": "python",
    "postgres:15-alpine": "postgres",
    "redis:7-alpine": "redis",
    "prom/alertmanager:v0.28.1": "alertmanager",
    "prom/prometheus:v3.16.0": "prometheus",
    "prometheuscommunity/postgres-exporter:v0.18.1": "postgres-exporter",
    "oliver006/redis_exporter:v1.74.0-alpine": "redis-exporter",
}
"""Image -> target of docker/local/Dockerfile. Debian 12 has these versions: Python 3.11, PostgreSQL 15, Redis 7.0,
Alertmanager 0.25, the exporters 0.11 and 1.45; Prometheus 3 is built here."""
STAND_IN_PYTHON = "3.11"
PYTHON_IMAGE = re.compile(r"python:3\.\d+(?:\.\d+)?-slim(?:-\w+)?")
"""Images that Debian's Python 3.11 replaces, if the app's requires-python allows it."""
COMMON_IMAGES = [image for image in STAND_INS if "/" not in image]
"""Images that any environment needs."""
BINARY_BUILDERS: dict[str, Callable[[], Path]] = {"prometheus": ensure_prometheus}
"""Target -> the program that it takes from this machine."""
DEBIAN_SUITE = "bookworm"
STAND_IN_BASE_IMAGE = f"slipway-debian:{DEBIAN_SUITE}"
"""The base of all stand-ins."""
DEBIAN_MIRROR = "http://deb.debian.org/debian"
HOST_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PULL_TIMEOUT_SECONDS = 600
STAND_IN_LABEL = "slipway.standin"
"""On a stand-in; its value is the recipe's hash."""
PRUNED_DIRECTORIES = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/log",
]


@dataclass(frozen=True)
class BaseImage:
    """An image that the local engine has."""

    reference: str
    origin: str
    """For a person: pulled, or a stand-in."""


def ensure_base_images(references: list[str], requires_python: str = "") -> list[BaseImage]:
    """Ensure that each of `references` is in the local engine: as it is, pulled, or as its stand-in.

    Args:
        references: Names of images, with their tags.
        requires_python: Of the app's pyproject.toml; only a Python that it allows can replace another one.

    Raises:
        SlipwayError: One can be had in none of these ways.
    """
    missing = [reference for reference in references if not _is_available(reference, requires_python)]
    refusals: dict[str, str] = {}

    def pull(reference: str) -> None:
        if _read_recipe_label(reference) and _find_stand_in_target(reference, requires_python):
            refusals[reference] = ""  # a stand-in of a former recipe: no registry answered then
            return
        with step(f"Pulling {reference}"):
            refusal = _pull_image(reference)
            outcome = f"cannot be pulled here: {refusal}" if refusal else "is there"
            console.print(f"  {reference} {outcome}", markup=False)
        if refusal:
            refusals[reference] = refusal

    if missing:
        run_in_parallel(*[lambda reference=reference: pull(reference) for reference in missing])
    if refusals:
        _build_stand_ins(sorted(refusals), requires_python)
    return [BaseImage(reference, _describe_origin(reference)) for reference in references]


def ensure_base_image(reference: str) -> BaseImage:
    """Ensure one base image, and return it."""
    return ensure_base_images([reference])[0]


def remove_stand_ins() -> list[str]:
    """Deletes the substitute images and their parents; returns their names."""
    command = ["docker", "image", "ls", "--filter", f"label={STAND_IN_LABEL}", "--format", "{{.Repository}}:{{.Tag}}"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    names = [name for name in listed if _is_stand_in_name(name)]
    for name in names:
        subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)
    return names


def _is_stand_in_name(name: str) -> bool:
    """Returns whether an image of this name may be a stand-in; those that are built from one inherit its label."""
    return name in STAND_INS or name == STAND_IN_BASE_IMAGE or PYTHON_IMAGE.fullmatch(name) is not None


def _find_stand_in_target(reference: str, requires_python: str) -> str:
    """Returns the target of docker/local/Dockerfile that replaces an image; empty if there is none."""
    if reference in STAND_INS:
        return STAND_INS[reference]
    is_python = PYTHON_IMAGE.fullmatch(reference)
    # With patch versions, for `>=3.11.4` allows Python 3.11.
    allowed = SpecifierSet(requires_python)
    is_allowed = any(f"{STAND_IN_PYTHON}.{patch}" in allowed for patch in (0, 9, 99))
    return "python" if is_python and is_allowed else ""


def _read_recipe_label(reference: str) -> str | None:
    """Returns the recipe's hash that is on an image: empty on one that is no stand-in, None where there is no image."""
    label = f'{{{{with .Config.Labels}}}}{{{{index . "{STAND_IN_LABEL}"}}}}{{{{end}}}}'
    done = subprocess.run(["docker", "image", "inspect", reference, "--format", label], capture_output=True, text=True)
    return None if done.returncode else done.stdout.strip()


def _is_available(reference: str, requires_python: str) -> bool:
    """Returns whether it is there as the image itself, or as a stand-in of today's recipe that the app allows."""
    label = _read_recipe_label(reference)
    if label == _recipe_hash():
        return bool(_find_stand_in_target(reference, requires_python))
    return label == ""


def _describe_origin(reference: str) -> str:
    if not _read_recipe_label(reference):
        return "the image itself"
    if PYTHON_IMAGE.fullmatch(reference) and reference not in STAND_INS:
        return (
            f"a stand-in with Python {STAND_IN_PYTHON} of Debian, which the app allows: on this machine it runs on "
            f"{STAND_IN_PYTHON}, elsewhere on {reference}"
        )
    return "a stand-in from Debian packages"


def _recipe_hash(folder: Path = RECIPE_DIR) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
        digest.update(f"\0{path.relative_to(RECIPE_DIR)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _pull_image(reference: str) -> str:
    """Pull, and return why not; empty when it worked."""
    try:
        done = subprocess.run(
            ["docker", "pull", "--quiet", reference], capture_output=True, text=True, timeout=PULL_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no end after {PULL_TIMEOUT_SECONDS} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def _build_stand_ins(references: list[str], requires_python: str) -> None:
    """Builds the substitute images: first their common parents, then all of them in parallel."""
    names = ", ".join(references)
    targets = {reference: _find_stand_in_target(reference, requires_python) for reference in references}
    unknown = [reference for reference, target in targets.items() if not target]
    if unknown:
        raise _no_stand_in_error(unknown, requires_python)
    if _read_recipe_label(STAND_IN_BASE_IMAGE) != _recipe_hash(RECIPE_DIR / "base"):
        if os.geteuid() != 0:
            raise SlipwayError(
                f"{names} cannot be pulled, and building a stand-in takes root (debootstrap).",
                f"Load that image into Docker (docker load), or run this as root once to build {names}.",
            )
        if not shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin"):
            install_apt_packages(["debootstrap"], "to build stand-in images")
        with step("Making a minimal Debian for stand-in images (about 40 s, once)"):
            _debootstrap()
    run_in_parallel(*[lambda item=item: _build_stand_in(*item) for item in targets.items()])


def _no_stand_in_error(references: list[str], requires_python: str) -> SlipwayError:
    names = ", ".join(references)
    if any(PYTHON_IMAGE.fullmatch(reference) for reference in references):
        return SlipwayError(
            f"{names} cannot be pulled, and requires-python, {requires_python}, does not allow the stand-in's "
            f"Python {STAND_IN_PYTHON}.",
            f"Pull or load {names} into Docker (docker load), or let requires-python allow {STAND_IN_PYTHON}.",
        )
    return SlipwayError(
        f"{names} cannot be pulled, and docker/local has no stand-in for it.",
        "Set `tracing` to false: traces need that image, pulled or loaded into Docker."
        if references == [constants.COLLECTOR_IMAGE]
        else f"Pull or load that image into Docker, or use one of: {', '.join(STAND_INS)}",
    )


def _debootstrap() -> None:
    downloads = cache_dir() / "debootstrap"
    downloads.mkdir(exist_ok=True)
    log = run_dir() / "log" / "debootstrap.log"
    recipe = _recipe_hash(RECIPE_DIR / "base")
    with tempfile.TemporaryDirectory(dir=_scratch_dir()) as scratch:
        tree = Path(scratch) / "tree"
        shutil.copytree(RECIPE_DIR / "base", tree)  # how dpkg is to unpack
        options = ["--variant=minbase", f"--cache-dir={downloads}"]
        run_command(
            ["/usr/sbin/debootstrap", *options, DEBIAN_SUITE, str(tree), _debian_mirror()],
            "debootstrap failed",
            log=log,
        )
        for name in PRUNED_DIRECTORIES:
            shutil.rmtree(tree / name, ignore_errors=True)
            (tree / name).mkdir(parents=True, exist_ok=True)
        for package in (tree / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        shutil.copytree(RECIPE_DIR / "base", tree, dirs_exist_ok=True)  # debootstrap has a policy-rc.d of its own
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        changes = [f"ENV PATH={path}", f"LABEL {STAND_IN_LABEL}={recipe}"]
        arguments = [argument for change in changes for argument in ("--change", change)]
        script = 'tree=$1; shift; tar --create --numeric-owner --directory "$tree" . | docker import "$@"'
        run_command(
            ["sh", "-c", script, "import", str(tree), *arguments, "-", STAND_IN_BASE_IMAGE],
            "docker import failed",
            log=log,
        )


def _build_stand_in(reference: str, target: str) -> None:
    ca = os.environ.get("SSL_CERT_FILE") or str(HOST_CA_BUNDLE)
    program = BINARY_BUILDERS[target]() if target in BINARY_BUILDERS else None
    options = [
        "--file", str(RECIPE_DIR / "Dockerfile"), "--target", target, "--tag", reference,
        "--network", "host",  # packages are reached the way that this machine reaches them
        "--build-arg", f"TODAY={datetime.now(UTC):%Y-%m-%d}",
        "--label", f"{STAND_IN_LABEL}={_recipe_hash()}",
        "--progress", "plain",
    ]  # fmt: skip
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        options += ["--build-arg", name] if name in os.environ else []
    if Path(ca).is_file():
        options += ["--secret", f"id=ca,src={ca}"]
    with (
        step(f"Building a stand-in for {reference} from Debian packages"),
        tempfile.TemporaryDirectory(dir=_scratch_dir()) as scratch,
    ):
        context = RECIPE_DIR
        if program:
            context = Path(scratch)
            shutil.copy(program, context / target)
        run_command(
            [str(find_buildkit_client() or "docker"), "build", *options, str(context)],
            f"The stand-in for {reference} does not build",
            log=run_dir() / "log" / f"stand-in-{target}.log",
            env=os.environ | {"DOCKER_BUILDKIT": "1"},
        )


def _debian_mirror() -> str:
    """Returns the Debian mirror that this host's own apt uses for `SUITE`, else the public one."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        site, _, release = line.partition(" ")
        if release == DEBIAN_SUITE and "security" not in site:
            return site
    return DEBIAN_MIRROR


def _scratch_dir() -> Path:
    """Not /tmp, which is often small or mounted noexec, nodev: debootstrap makes devices and runs programs."""
    path = cache_dir() / "scratch"
    path.mkdir(exist_ok=True)
    return path

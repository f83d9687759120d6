"""Base images: pulled where a registry answers, else stand-ins from Debian packages (docker/local)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra import contract
from infra.errors import SlipwayError
from infra.local.docker_engine import apt_install, buildkit_client
from infra.local.paths import ROOT, cache_dir, run_dir
from infra.local.progress import console, run, step, together
from infra.local.prometheus import ensure_prometheus

RECIPES = ROOT / "docker" / "local"
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
OFTEN = [image for image in STAND_INS if "/" not in image]
"""What any environment needs."""
BUILT: dict[str, Callable[[], Path]] = {"prometheus": ensure_prometheus}
"""Target -> the program that it takes from this machine."""
SUITE = "bookworm"
BASE = f"slipway-debian:{SUITE}"
"""What all stand-ins stand on."""
DEBIAN_MIRROR = "http://deb.debian.org/debian"
HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")
PULL_SECONDS = 600
LABEL = "slipway.standin"
"""On a stand-in; its value is the recipe's hash."""
UNNEEDED = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/lib/apt/lists", "var/log"]


@dataclass(frozen=True)
class BaseImage:
    """An image that the local engine has."""

    reference: str
    origin: str
    """For a person: pulled, or a stand-in."""


def ensure_bases(references: list[str]) -> list[BaseImage]:
    """Have each of `references` in the local engine: as it is, pulled, or as its stand-in.

    Raises `SlipwayError` where one can be had in none of these ways.
    """
    missing = [reference for reference in references if not _is_there(reference)]
    refused = []

    def have(reference: str) -> None:
        if _label(reference) is None:
            with step(f"Pulling {reference}"):
                refusal = _pull(reference)
                said = f"cannot be pulled here: {refusal}" if refusal else "is there"
                console.print(f"  {reference} {said}", markup=False)
            if not refusal:
                return
        refused.append(reference)

    if missing:
        together(*[lambda reference=reference: have(reference) for reference in missing])
    if refused:
        _stand_in(refused)
    return [BaseImage(reference, _origin(reference)) for reference in references]


def ensure_base(reference: str) -> BaseImage:
    """The same for one."""
    return ensure_bases([reference])[0]


def remove_stand_ins() -> list[str]:
    """Delete the stand-ins and what they stand on, with the images' names as the answer."""
    found = [name for name in (*STAND_INS, BASE) if _label(name)]
    for name in found:
        subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)
    return found


def _label(reference: str) -> str | None:
    """The recipe's hash that is on an image: empty on one that is no stand-in, None where there is no image."""
    label = f'{{{{with .Config.Labels}}}}{{{{index . "{LABEL}"}}}}{{{{end}}}}'
    done = subprocess.run(["docker", "image", "inspect", reference, "--format", label], capture_output=True, text=True)
    return None if done.returncode else done.stdout.strip()


def _is_there(reference: str) -> bool:
    """As the image itself, or as a stand-in of today's recipe."""
    return _label(reference) in ("", _recipe())


def _origin(reference: str) -> str:
    return "a stand-in from Debian packages" if _label(reference) else "the image itself"


def _recipe(folder: Path = RECIPES) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
        digest.update(f"\0{path.relative_to(RECIPES)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _pull(reference: str) -> str:
    """Pull, and return why not; empty when it worked."""
    try:
        done = subprocess.run(
            ["docker", "pull", "--quiet", reference], capture_output=True, text=True, timeout=PULL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no end after {PULL_SECONDS} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def _stand_in(references: list[str]) -> None:
    """Build the stand-ins: first what they stand on, then all of them at once."""
    names = ", ".join(references)
    unknown = [reference for reference in references if reference not in STAND_INS]
    if unknown:
        raise SlipwayError(
            f"{', '.join(unknown)} cannot be pulled, and docker/local has no stand-in for it.",
            "Set `tracing` to false: traces need that image, pulled or loaded into Docker."
            if unknown == [contract.COLLECTOR_IMAGE]
            else f"Pull or load that image into Docker, or use one of: {', '.join(STAND_INS)}",
        )
    if _label(BASE) != _recipe(RECIPES / "base"):
        if os.geteuid() != 0:
            raise SlipwayError(
                f"{names} cannot be pulled, and building a stand-in takes root (debootstrap).",
                f"Load that image into Docker (docker load), or run this as root once to build {names}.",
            )
        if not shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin"):
            apt_install(["debootstrap"], "to build stand-in images")
        with step("Making a minimal Debian for stand-in images (about 40 s, once)"):
            _debootstrap()
    together(*[lambda reference=reference: _build(reference) for reference in references])


def _debootstrap() -> None:
    downloads = cache_dir() / "debootstrap"
    downloads.mkdir(exist_ok=True)
    log = run_dir() / "log" / "debootstrap.log"
    recipe = _recipe(RECIPES / "base")
    with tempfile.TemporaryDirectory(dir=_roomy()) as scratch:
        tree = Path(scratch) / "tree"
        shutil.copytree(RECIPES / "base", tree)  # how dpkg is to unpack
        options = ["--variant=minbase", f"--cache-dir={downloads}"]
        run(["/usr/sbin/debootstrap", *options, SUITE, str(tree), _mirror()], "debootstrap failed", log=log)
        for name in UNNEEDED:
            shutil.rmtree(tree / name, ignore_errors=True)
            (tree / name).mkdir(parents=True, exist_ok=True)
        for package in (tree / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        shutil.copytree(RECIPES / "base", tree, dirs_exist_ok=True)  # debootstrap has a policy-rc.d of its own
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        changes = [f"ENV PATH={path}", f"LABEL {LABEL}={recipe}"]
        arguments = [argument for change in changes for argument in ("--change", change)]
        script = 'tree=$1; shift; tar --create --numeric-owner --directory "$tree" . | docker import "$@"'
        run(["sh", "-c", script, "import", str(tree), *arguments, "-", BASE], "docker import failed", log=log)


def _build(reference: str) -> None:
    target = STAND_INS[reference]
    ca = os.environ.get("SSL_CERT_FILE") or str(HOST_CA)
    program = BUILT[target]() if target in BUILT else None
    options = [
        "--file", str(RECIPES / "Dockerfile"), "--target", target, "--tag", reference,
        "--network", "host",  # packages are reached the way that this machine reaches them
        "--build-arg", f"TODAY={datetime.now(UTC):%Y-%m-%d}",
        "--label", f"{LABEL}={_recipe()}",
        "--progress", "plain",
    ]  # fmt: skip
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        options += ["--build-arg", name] if name in os.environ else []
    if Path(ca).is_file():
        options += ["--secret", f"id=ca,src={ca}"]
    with (
        step(f"Building a stand-in for {reference} from Debian packages"),
        tempfile.TemporaryDirectory(dir=_roomy()) as scratch,
    ):
        context = RECIPES
        if program:
            context = Path(scratch)
            shutil.copy(program, context / target)
        run(
            [str(buildkit_client() or "docker"), "build", *options, str(context)],
            f"The stand-in for {reference} does not build",
            log=run_dir() / "log" / f"stand-in-{target}.log",
            env=os.environ | {"DOCKER_BUILDKIT": "1"},
        )


def _mirror() -> str:
    """The Debian mirror that this host's own apt uses for `SUITE`, else the public one."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        site, _, release = line.partition(" ")
        if release == SUITE and "security" not in site:
            return site
    return DEBIAN_MIRROR


def _roomy() -> Path:
    """Not /tmp, which is often small or mounted noexec, nodev: debootstrap makes devices and runs programs."""
    path = cache_dir() / "scratch"
    path.mkdir(exist_ok=True)
    return path

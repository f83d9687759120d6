"""Base images: pulled where a registry answers, else stand-ins from Debian packages (docker/local)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.errors import SlipwayError
from infra.local.docker_engine import apt_install
from infra.local.paths import ROOT, cache_dir, run_dir
from infra.local.progress import console, run, step

RECIPES = ROOT / "docker" / "local"
STAND_INS = {
    "python:3.11-slim": "python",
    "postgres:15-alpine": "postgres",
    "redis:7-alpine": "redis",
}
"""Image -> folder of docker/local. Debian 12 has these very versions: Python 3.11, PostgreSQL 15, Redis 7.0."""
SUITE = "bookworm"
DEBIAN_MIRROR = "http://deb.debian.org/debian"
PULL_SECONDS = 600
LABEL = "slipway.standin"
UNNEEDED = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/lib/apt/lists", "var/log"]


@dataclass(frozen=True)
class BaseImage:
    """An image that the local engine has."""

    reference: str
    origin: str
    """For a person: pulled, or a stand-in."""


def ensure_base(reference: str) -> BaseImage:
    """Have `reference` in the local engine: as it is, pulled, or as its stand-in.

    Raises `SlipwayError` where it can be had in none of these ways.
    """
    origin = _origin(reference)
    if origin:
        return BaseImage(reference, origin)
    refusal = _pull(reference)
    if refusal:
        console.print(f"  {reference} cannot be pulled here: {refusal}")
        _build(reference)
    return BaseImage(reference, _origin(reference))


def remove_stand_ins() -> list[str]:
    """Delete the stand-ins, with the images' names as the answer."""
    found = [name for name in STAND_INS if _origin(name).startswith("a stand-in")]
    for name in found:
        subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)
    return found


def _origin(reference: str) -> str:
    label = f'{{{{index .Config.Labels "{LABEL}"}}}}'
    done = subprocess.run(["docker", "image", "inspect", reference, "--format", label], capture_output=True, text=True)
    if done.returncode:
        # An image without any label: the template fails on it, a plain inspect does not.
        plain = subprocess.run(["docker", "image", "inspect", reference], capture_output=True)
        return "" if plain.returncode else "the image itself"
    return "a stand-in from Debian packages" if done.stdout.strip() == "true" else "the image itself"


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


def _build(reference: str) -> None:
    if reference not in STAND_INS:
        have = ", ".join(STAND_INS)
        raise SlipwayError(
            f"{reference} cannot be pulled, and docker/local has no stand-in for it.",
            f"Pull or load that image into Docker, or use one of: {have}",
        )
    if os.geteuid() != 0:
        raise SlipwayError(
            f"{reference} cannot be pulled, and building its stand-in takes root (debootstrap).",
            f"Load that image into Docker (docker load), or run this as root once to build {reference}.",
        )
    if not shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin"):
        apt_install(["debootstrap"], "to build stand-in images")
    recipe = RECIPES / STAND_INS[reference]
    packages = (recipe / "packages").read_text().split()
    downloads = cache_dir() / "debootstrap"
    downloads.mkdir(exist_ok=True)
    log = run_dir() / "log" / f"debootstrap-{recipe.name}.log"
    with (
        step(f"Building a stand-in for {reference} from Debian packages (about 1 min, once)"),
        tempfile.TemporaryDirectory(dir=_roomy()) as scratch,
    ):
        tree = Path(scratch) / "tree"
        run(
            [
                "/usr/sbin/debootstrap",
                "--variant=minbase",
                f"--cache-dir={downloads}",
                f"--include={','.join(packages)}",
                SUITE,
                str(tree),
                _mirror(),
            ],
            f"debootstrap of {', '.join(packages)} failed",
            log=log,
        )
        _strip(tree)
        shutil.copytree(recipe / "rootfs", tree, symlinks=True, dirs_exist_ok=True)
        if (recipe / "setup").exists():
            shutil.copy(recipe / "setup", tree / "setup")
            run(["chroot", str(tree), "/setup"], f"{recipe.name}/setup failed", log=log)
            (tree / "setup").unlink()
        _import(tree, reference, log)


def _strip(tree: Path) -> None:
    for name in UNNEEDED:
        shutil.rmtree(tree / name, ignore_errors=True)
        (tree / name).mkdir(parents=True, exist_ok=True)
    for package in (tree / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()


def _import(tree: Path, reference: str, log: Path) -> None:
    changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"LABEL {LABEL}=true"]
    options = [argument for change in changes for argument in ("--change", change)]
    script = 'tree=$1; shift; tar --create --numeric-owner --directory "$tree" . | docker import "$@"'
    run(["sh", "-c", script, "import", str(tree), *options, "-", reference], "docker import failed", log=log)


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

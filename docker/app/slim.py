"""Take out of an image's virtual environment what a running app never opens: `slim.py /venv pyproject.toml`.

Symbols of compiled libraries (some packages come with them), C sources, the tests of packages, and botocore's
descriptions of AWS services that the app does not call. Which it calls, it says in its pyproject.toml:

    [tool.slipway]
    aws-services = ["s3", "sqs"]

Without that all of them stay. Sources and bytecode stay too: tracebacks and a quick start are worth their size.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

TESTS = ("*/tests", "sqlalchemy/testing", "alembic/testing")
"""Of packages: what only their own tests import."""
SOURCES = (".c", ".cpp", ".h", ".pxd", ".pyx")


def size(folder: Path) -> float:
    """MB of the files below it."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def slim(venv: Path, pyproject: Path) -> None:
    """Do it, and say what it brought."""
    (packages,) = venv.glob("lib/python*/site-packages")
    before = size(venv)
    libraries = [path for path in packages.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
    else:
        sys.stdout.write("There is no `strip` (binutils): compiled libraries keep their symbols, some 40 MB\n")
    for folder in {folder for pattern in TESTS for folder in packages.glob(pattern) if folder.is_dir()}:
        shutil.rmtree(folder)
    for path in [path for path in packages.rglob("*") if path.suffix in SOURCES]:
        path.unlink()
    described = tomllib.loads(pyproject.read_text()) if pyproject.is_file() else {}
    services = described.get("tool", {}).get("slipway", {}).get("aws-services")
    if services is not None:
        for path in [*packages.glob("botocore/data/*"), *packages.glob("boto3/data/*")]:
            if path.is_dir() and path.name not in services:
                shutil.rmtree(path)
    sys.stdout.write(f"The virtual environment: {before:.0f} MB, now {size(venv):.0f}\n")


slim(Path(sys.argv[1]), Path(sys.argv[2]))

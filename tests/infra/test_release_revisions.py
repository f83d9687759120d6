"""Two Alembic heads are refused in the preview, with both names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.alembic_heads import check_heads, find_heads, migration_sql_command


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "backend" / "db" / "versions"
    folder.mkdir(parents=True)
    (folder.parent / "env.py").touch()
    (folder / "__init__.py").touch()
    return folder


def revision(folder: Path, name: str, after: str) -> None:
    text = (
        f'"""A change."""\nfrom alembic import op\nrevision: str = "{name}"\ndown_revision = {after}\nkey = op.f("x")\n'
    )
    (folder / f"{name}_change.py").write_text(text)


def test_one_row_of_revisions_has_one_head(migrations: Path) -> None:
    revision(migrations, "a1", "None")
    revision(migrations, "b2", "'a1'")
    assert find_heads(migrations) == {"b2": "b2_change.py"}
    check_heads(migrations.parents[1], ["alembic", "upgrade", "head"])


def test_two_heads_are_refused_with_both_names_until_they_are_merged(migrations: Path) -> None:
    revision(migrations, "a1", "None")
    revision(migrations, "b2", "'a1'")
    revision(migrations, "c3", "'a1'")
    for command in (["alembic", "upgrade", "head"], ["python", "-m", "db.migrate"]):
        with pytest.raises(SlipwayError, match=r"b2 \(b2_change.py\) and c3 .*\n.*alembic merge -m 'both' b2 c3"):
            check_heads(migrations.parents[1], command)
    check_heads(migrations.parents[1], ["sh", "-c", "alembic upgrade heads"])
    check_heads(migrations.parents[1], [])
    revision(migrations, "d4", "('b2', 'c3')")
    check_heads(migrations.parents[1], ["alembic", "upgrade", "head"])


def test_what_an_environment_of_python_has_is_not_the_apps(migrations: Path) -> None:
    elsewhere = migrations.parents[1] / ".venv" / "package" / "versions"
    elsewhere.mkdir(parents=True)
    (elsewhere.parent / "env.py").touch()
    for name in ("a1", "b2"):
        revision(elsewhere, name, "None")
    check_heads(migrations.parents[1], ["alembic", "upgrade", "head"])


def test_alembics_own_command_shows_its_sql_from_where_the_database_is(tmp_path: Path) -> None:
    """Run with a stand-in for Alembic, which says what it was asked."""
    alembic = tmp_path / "alembic"
    alembic.write_text('#!/bin/sh\ncase "$*" in *current) echo "$AT";; *) echo "$@";; esac\n')
    alembic.chmod(0o755)
    command = migration_sql_command(["alembic", "-c", "db/alembic.ini", "upgrade", "head"])
    for at, asked in (("0001 (head)", "0001:head"), ("", "base:head")):
        given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AT": at}
        told = subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout
        assert told == f"-c db/alembic.ini upgrade {asked} --sql\n"


def test_of_another_command_nobody_knows_how_it_shows_its_sql() -> None:
    assert migration_sql_command(["python", "-m", "app.migrate"]) == []

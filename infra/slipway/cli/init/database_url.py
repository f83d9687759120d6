"""Determines the form of an app's database URL: libpq's, or SQLAlchemy's with a driver's name."""

from __future__ import annotations

import ast
import re

from slipway.cli.init.detect import DetectedApp

CHANGES_SCHEME = re.compile(
    r"""make_url|drivername|\.replace\(\s*["'](postgres|://)|removeprefix\(["']postgres|PostgresDsn\.build"""
)
ENGINES = {"create_engine", "create_async_engine"}
WITH_DRIVER = ("asyncpg", "psycopg")
"""Drivers that SQLAlchemy uses only if the URL names them; its default is psycopg2."""


def adapts_url(app: DetectedApp) -> bool:
    """Whether the app inserts a driver's name into the URL."""
    return any(CHANGES_SCHEME.search(module.text) for module in app.modules)


def makes_engine(app: DetectedApp) -> bool:
    """Whether SQLAlchemy connects, not a driver directly."""
    calls = (node for module in app.modules for node in module.nodes if isinstance(node, ast.Call))
    names = {call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "") for call in calls}
    return bool(names & ENGINES)


def database_url_value(app: DetectedApp) -> str:
    """Returns the kit's value of the database's URL, in the app's form."""
    driver = app.stores.driver
    has_driver = driver in WITH_DRIVER and makes_engine(app) and not adapts_url(app)
    return f"database.url.{driver}" if has_driver else "database.url"

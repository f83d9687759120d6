"""schemathesis over the whole schema: no 5xx, and every answer as documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import checks

from app.core.settings import Settings
from app.main import create_app
from tests.app.conftest import KEY, PASSWORD

EXAMPLES = 25


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path: Path = tmp_path_factory.mktemp("schema") / "app.db"
    app = create_app(
        Settings(
            _env_file=None,
            database_url=f"sqlite:///{path}",  # type: ignore[arg-type]
            secret_key=KEY,  # type: ignore[arg-type]
            rate_limit_per_minute=10_000_000,
            login_rate_limit_per_minute=10_000_000,
            log_level="critical",
        )
    )
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.fixture(scope="module")
def headers(api: Any) -> dict[str, str]:
    client = TestClient(api.app)
    client.post("/api/v1/users/", json={"email": "s@example.com", "display_name": "S", "password": PASSWORD})
    tokens = client.post("/api/v1/auth/token", data={"username": "s@example.com", "password": PASSWORD}).json()
    return {"Authorization": f"Bearer {tokens['access_token']}"}


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]
"""Not `positive_data_acceptance`: a cursor that nobody gave, or a changed version, is refused on purpose."""
ENDING = ("deleteMe", "changePassword")
"""These would end the account that the other operations use: they are tried without a token."""


def test_every_answer_is_as_documented(api: Any, headers: dict[str, str]) -> None:
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) >= 15
    for operation in operations:
        given_headers = {} if operation.definition.raw["operationId"] in ENDING else headers
        check(operation, given_headers)


def check(operation: Any, headers: dict[str, str]) -> None:
    """Send generated requests to one operation."""

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    send()

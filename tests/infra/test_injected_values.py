"""The values that app.yaml may ask for: each name has one attribute, and a container gets that one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.components.outputs import SecretReference
from slipway.config import constants
from slipway.config.app_spec.app import DATABASE_URLS, GENERATED_VALUES, INJECTABLE_VALUES, SECRET_VALUES, AppSpec
from slipway.program.container_env import build_process_container
from slipway.program.injected_values import (
    PLAIN_VALUE_GETTERS,
    SECRET_VALUE_GETTERS,
    BucketValues,
    CacheValues,
    DatabaseValues,
    InjectedValues,
    QueueValues,
    StackValues,
)


def reference(name: str) -> SecretReference:
    return SecretReference(f"arn:{name}", f"arn:{name}:key::v1")


DATABASE = DatabaseValues(
    "database.host",
    "database.port",
    "database.name",
    "database.user",
    "database.ca",
    "database.pool",
    reference("database.password"),
    {name: reference(name) for name in DATABASE_URLS},
)
VALUES = InjectedValues(
    stack=StackValues("stack.project", "stack.name", "stack.tier", "stack.hosts"),
    region="eu-central-1",
    trusted_proxies="10.0.0.0/20",
    database=DATABASE,
    release_database=replace(DATABASE, user="release", password=reference("release.password")),
    cache=CacheValues(
        "cache.host", "cache.port", "cache.ca", "cache.tls", reference("cache.password"), reference("cache.url")
    ),
    queue=QueueValues("queue.url", "queue.name", "queue.timeout"),
    bucket=BucketValues("bucket.name"),
    generated={"V_GENERATED": reference("generated")},
)
"""Each is its own name in app.yaml."""


def variable(value: str) -> str:
    return "V_" + value.upper().replace(".", "_")


def app(**changes: Any) -> AppSpec:
    variables = {variable(value): value for value in INJECTABLE_VALUES if value != "generated.former"}
    needs = ["database", "cache", "queue", "bucket"]
    given = {"module": "a:b", "needs": needs, "variables": variables, "release": "migrate"}
    return AppSpec.model_validate(given | changes)


def container(process: str, values: InjectedValues = VALUES) -> Any:
    return build_process_container(app(), process, "image", values, "r1", constants.DEPLOY_PROFILES["fast"])


def test_every_name_of_app_yaml_has_one_attribute() -> None:
    plain, secret = set(PLAIN_VALUE_GETTERS), set(SECRET_VALUE_GETTERS)
    assert plain | secret | GENERATED_VALUES == set(INJECTABLE_VALUES)
    assert secret | GENERATED_VALUES == SECRET_VALUES
    assert plain & secret == set()


@pytest.mark.parametrize("value", sorted(PLAIN_VALUE_GETTERS))
def test_a_plain_value_is_that_of_its_name(value: str) -> None:
    assert container("web").environment[variable(value)] == value


@pytest.mark.parametrize("value", sorted([*SECRET_VALUE_GETTERS, "generated"]))
def test_a_secret_value_is_that_of_its_name_and_never_plain(value: str) -> None:
    web = container("web")
    assert web.secrets[variable(value)] == reference(value)
    assert variable(value) not in web.environment


def test_the_release_task_logs_in_as_its_own_user_and_a_process_as_the_apps() -> None:
    release, web = container("release"), container("web")
    assert (release.environment["V_DATABASE_USER"], web.environment["V_DATABASE_USER"]) == ("release", "database.user")
    assert release.secrets["V_DATABASE_PASSWORD"] == reference("release.password")
    assert "V_QUEUE_URL" not in release.environment
    assert json.loads(release.environment["WEB_CONCURRENCY"]) == 1


def test_a_name_that_is_no_value_is_refused_when_app_yaml_is_read() -> None:
    with pytest.raises(ValueError, match=r"variables\.A is 'database\.adress'.*database\.url"):
        app(variables={"A": "database.adress"})


def test_a_value_that_the_stack_does_not_have_is_an_error_with_its_name() -> None:
    with pytest.raises(LookupError, match="database is injected"):
        container("web", replace(VALUES, database=None))
    with pytest.raises(LookupError, match=r"database\.url"):
        container("web", replace(VALUES, database=replace(DATABASE, urls={})))

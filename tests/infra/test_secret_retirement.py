"""A rotation's second step waits until no task uses the former secrets."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.secret_retirement import check_retired_users


def cluster_with(*tasks: tuple[str, str]) -> Any:
    """AWS with running tasks, each of a family that logs in as a user."""
    ecs = MagicMock()
    ecs.get_paginator.return_value.paginate.return_value = [{"taskArns": [f"arn:task/{n}" for n in range(len(tasks))]}]
    ecs.describe_tasks.side_effect = lambda cluster, tasks: {
        "tasks": [{"taskDefinitionArn": f"arn:definition/{arn.rsplit('/', 1)[-1]}"} for arn in tasks]
    }

    def definition(taskDefinition: str) -> dict[str, Any]:
        family, user = tasks[int(taskDefinition.rsplit("/", 1)[-1])]
        container = {"environment": [{"name": "PORT", "value": "8000"}, {"name": "DATABASE_USER", "value": user}]}
        return {"taskDefinition": {"family": family, "containerDefinitions": [container]}}

    ecs.describe_task_definition.side_effect = definition
    aws = MagicMock()
    aws.client.return_value = ecs
    return aws


def test_a_user_that_a_running_task_logs_in_with_is_not_dropped() -> None:
    aws = cluster_with(("shop-prod-web", "shop_prod_app_1"), ("shop-prod-worker", "shop_prod_app_2"))
    with pytest.raises(SlipwayError, match="shop_prod_app_1 by shop-prod-web") as refused:
        check_retired_users(aws, "arn:cluster", ["shop_prod_app_1", "shop_prod_release_1"])
    assert "worker" not in refused.value.message


def test_users_that_nobody_has_any_more_are_dropped() -> None:
    check_retired_users(cluster_with(("shop-prod-web", "shop_prod_app_2")), "arn:cluster", ["shop_prod_app_1"])


def test_without_retired_users_or_before_there_is_a_cluster_nothing_is_asked() -> None:
    aws = cluster_with(("shop-prod-web", "shop_prod_app_1"))
    check_retired_users(aws, "arn:cluster", [])
    check_retired_users(aws, "", ["shop_prod_app_1"])
    aws.client.assert_not_called()

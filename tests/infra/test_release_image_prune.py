"""Which images of the registry are old: none that is used, and none of the newest."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import image_prune
from slipway.release.image_prune import delete_images, select_unused_images
from tests.infra.deployed import Answers, deployed


def registry(*days: int, failures: Any = ()) -> Any:
    """An image for each day of a month, and one without a tag."""
    images = [
        {
            "imageDigest": f"sha256:{day}",
            "imagePushedAt": datetime(2026, 11, day, tzinfo=UTC),
            "imageSizeInBytes": day,
            "imageTags": [f"b{day}", f"a{day}"],
        }
        for day in days
    ]
    untagged = {"imageDigest": "sha256:0", "imagePushedAt": datetime(2026, 10, 1, tzinfo=UTC), "imageSizeInBytes": 1}
    return Answers(
        {"describe_images": {"imageDetails": [*images, untagged]}, "batch_delete_image": {"failures": list(failures)}}
    )


def test_neither_what_is_used_nor_the_newest_is_old_whatever_order_the_registry_has() -> None:
    plan = select_unused_images(registry(2, 5, 1, 4, 3), "app", {"sha256:2"}, keep=2)
    assert [image.digest for image in plan.old] == ["sha256:3", "sha256:1"]
    assert (plan.used, plan.newest) == (1, 2)
    assert (plan.old[0].tags, plan.old[0].bytes) == (["a3", "b3"], 3)
    assert plan.old[0].pushed == "2026-11-03T00:00:00+00:00"


def test_the_oldest_goes_first_and_what_the_registry_keeps_is_told() -> None:
    aws = registry(1, 2, 3)
    plan = select_unused_images(aws, "app", set(), keep=1)
    delete_images(aws, plan)
    (asked,) = aws.given("batch_delete_image")
    assert asked == {"repositoryName": "app", "imageIds": [{"imageDigest": "sha256:1"}, {"imageDigest": "sha256:2"}]}
    failures = [{"imageId": {"imageDigest": "sha256:1"}, "failureReason": "referenced"}, {"imageId": {}}]
    with pytest.raises(SlipwayError, match="did not delete sha256:1, and 1 others: referenced"):
        delete_images(registry(failures=failures), plan)


SERVED, PINNED, OF_PREVIEWS, OLD = (f"sha256:{character * 64}" for character in "abcd")


def test_what_serves_what_is_pinned_and_what_previews_start_with_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """No task definition names the image of previews' Redis until there is a preview."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    images = [
        {"imageDigest": digest, "imagePushedAt": now, "imageSizeInBytes": 1, "imageTags": [digest[-3:]]}
        for digest in (SERVED, PINNED, OF_PREVIEWS, OLD)
    ]
    task_definition = {"containerDefinitions": [{"image": f"shop@{SERVED}"}]}
    table = {
        "describe_images": {"imageDetails": images},
        "list_task_definitions": {"taskDefinitionArns": ["web:1"]},
        "describe_services": {"services": [{"taskDefinition": "web:1", "deployments": []}]},
        "list_service_deployments": {"serviceDeployments": []},
        "list_tasks": {"taskArns": []},
        "describe_task_definition": {"taskDefinition": task_definition},
    }
    config = json.dumps({"shop:imageDigest": {"value": PINNED}})
    monkeypatch.setattr(image_prune, "run_pulumi_in_project", lambda *_: config)
    registry_arn = {"arn": "arn:aws:ecr:eu-central-1:111122223333:repository/shop"}
    foundation = {"registry": registry_arn, "previews": {"cache_image": f"shop@{OF_PREVIEWS}"}}
    plan = image_prune.plan_pruning(deployed(Answers(table), foundation=foundation), 0)
    assert [image.digest for image in plan.old] == [OLD]
    assert (plan.repository, plan.used) == ("shop", 3)

"""Images in the registry: one that is built again gets its tag made free; old ones go, but none that is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import image_prune
from slipway.release.image_tag import retag_existing_image

pytestmark = pytest.mark.e2e
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def ecr(aws: Callable[[str], Any]) -> Any:
    client = aws("ecr")
    client.create_repository(repositoryName="app", imageTagMutability="IMMUTABLE")
    yield client
    client.delete_repository(repositoryName="app", force=True)


def push(ecr: Any, number: int, tag: str) -> str:
    """An image that differs from others in its number; its digest."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "number": number})
    pushed = ecr.put_image(repositoryName="app", imageManifest=manifest, imageTag=tag)
    return str(pushed["image"]["imageId"]["imageDigest"])


def tags(ecr: Any) -> dict[str, str]:
    images = ecr.describe_images(repositoryName="app")["imageDetails"]
    return {tag: image["imageDigest"] for image in images for tag in image.get("imageTags", [])}


def test_without_it_the_registry_refuses_the_push(ecr: Any) -> None:
    push(ecr, 1, "abc")
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        push(ecr, 2, "abc")


def test_the_new_image_gets_the_tag_and_the_old_one_keeps_a_tag_of_its_own(ecr: Any) -> None:
    old = push(ecr, 1, "abc")
    retag_existing_image(ecr, "app", "abc")
    new = push(ecr, 2, "abc")
    kept = f"abc-{old.removeprefix('sha256:')[:12]}"
    assert tags(ecr) == {"abc": new, kept: old}


def test_back_and_forth_any_number_of_times(ecr: Any) -> None:
    for number in (1, 2, 1, 2, 1):
        retag_existing_image(ecr, "app", "abc")
        newest = push(ecr, number, "abc")
    assert tags(ecr)["abc"] == newest
    assert len(set(tags(ecr).values())) == 2


def test_a_tag_that_nobody_has_is_free(ecr: Any) -> None:
    retag_existing_image(ecr, "app", "abc")
    assert tags(ecr) == {}


@dataclass(frozen=True)
class Clients:
    """The local AWS, as the release sees one."""

    client: Callable[[str], Any]


class Site:
    """A cluster whose service runs no task, so that images need be no real ones."""

    def __init__(self, aws: Callable[[str], Any], ecr: Any) -> None:
        self.aws, self.ecr, self.ecs = Clients(aws), ecr, aws("ecs")
        self.cluster = self.ecs.create_cluster(clusterName="prune")["cluster"]["clusterArn"]
        self.defined: list[str] = []

    def define(self, family: str, *digests: str) -> str:
        """A revision with a container for each image."""
        containers = [{"name": f"c{n}", "image": f"registry/app@{digest}"} for n, digest in enumerate(digests)]
        made = self.ecs.register_task_definition(family=family, containerDefinitions=containers)["taskDefinition"]
        self.defined.append(made["taskDefinitionArn"])
        return self.defined[-1]

    def retire(self, definition: str) -> None:
        self.ecs.deregister_task_definition(taskDefinition=definition)

    def used(self) -> set[str]:
        return image_prune.find_used_digests(self.aws, self.cluster, ["web"])

    def old(self, keep: int) -> list[str]:
        return [each.digest for each in image_prune.select_unused_images(self.aws, "app", self.used(), keep).old]

    def close(self) -> None:
        self.ecs.delete_service(cluster=self.cluster, service="web", force=True)
        self.ecs.delete_cluster(cluster=self.cluster)
        for definition in self.defined:
            self.retire(definition)


@pytest.fixture
def site(aws: Callable[[str], Any], ecr: Any) -> Iterator[Site]:
    site = Site(aws, ecr)
    yield site
    site.close()


def test_what_is_served_was_served_or_may_run_next_stays_whatever_the_count(site: Site) -> None:
    before, now, sidecar, nightly, dropped, newest = (push(site.ecr, n, f"tag{n}") for n in range(6))
    first, second = site.define("web", before), site.define("web", now, sidecar)
    site.define("nightly", nightly)
    site.retire(site.define("gone", dropped))  # a preview that was destroyed
    site.ecs.create_service(cluster=site.cluster, serviceName="web", taskDefinition=first, desiredCount=0)
    site.ecs.update_service(cluster=site.cluster, service="web", taskDefinition=second)
    site.retire(first)  # a rollback finds it among the last deployments all the same
    assert site.used() == {before, now, sidecar, nightly}
    assert set(site.old(keep=0)) == {dropped, newest}
    assert site.old(keep=6) == []
    pruning = image_prune.select_unused_images(site.aws, "app", site.used(), keep=0)
    image_prune.delete_images(site.aws, pruning)
    assert set(tags(site.ecr).values()) == site.used()
    assert site.old(keep=0) == []


def test_what_a_service_still_runs_stays_though_its_revision_is_retired(site: Site) -> None:
    """After a rollback by ECS the service is at a revision that may be older than those that are kept."""
    only = push(site.ecr, 1, "abc")
    definition = site.define("web", only)
    site.ecs.create_service(cluster=site.cluster, serviceName="web", taskDefinition=definition, desiredCount=0)
    site.retire(definition)
    assert site.used() == {only}


class Registry:
    """An ECR with an image a day, which keeps what it is asked to delete, as for one that another is made of."""

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        days = [(n, datetime(2026, 11, n, tzinfo=UTC)) for n in (2, 5, 1, 4, 3)]
        images = [{"imageDigest": f"sha256:{n}", "imagePushedAt": day, "imageSizeInBytes": 1} for n, day in days]
        return [{"imageDetails": [image | {"imageTags": [image["imageDigest"][-1]]} for image in images] + images}]

    def batch_delete_image(self, **asked: Any) -> Any:
        failure = {"failureCode": "ImageReferencedByManifestList", "failureReason": "is referenced by manifest list"}
        return {"failures": [failure | {"imageId": each} for each in asked["imageIds"]]}


def test_the_newest_stay_whether_used_or_not_and_what_the_registry_keeps_is_told() -> None:
    aws = Clients(lambda _: Registry())
    pruning = image_prune.select_unused_images(aws, "app", {"sha256:2"}, 2)
    assert [each.digest for each in pruning.old] == ["sha256:3", "sha256:1"]
    assert (pruning.used, pruning.newest) == (1, 2)
    with pytest.raises(SlipwayError, match="did not delete sha256:1, and 1 others: is referenced"):
        image_prune.delete_images(aws, pruning)

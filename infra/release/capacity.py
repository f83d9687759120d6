"""What would stop a release half-way, looked at before anything changes; sizes are checked with the settings."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.app_process import Process
from infra.errors import SlipwayError
from infra.release.client import Aws, Clients

ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}
"""ECS's names -> those of an image."""
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    *INDEXES,
)
VCPUS, SPOT_VCPUS, ADDRESSES = ("fargate", "L-3032A538"), ("fargate", "L-36FBB829"), ("ec2", "L-0263D0A3")
"""Service and code of the quotas."""
CPU_UNITS = 1024
REGISTRY = re.compile(r"^(\d{12}\.dkr\.ecr\.|(localhost|127\.0\.0\.1):\d+/)")
"""How the address of an image begins that is in this account's registry; others are not looked at."""


@dataclass(frozen=True)
class Tasks:
    """Tasks of one size that a stack runs."""

    cpu: int
    """CPU units of each."""
    count: int
    spot: bool = False

    @classmethod
    def of(cls, process: Process) -> list[Tasks]:
        """Those of a process, on demand and on Spot."""
        on_demand = process.on_spot.on_demand(process.tasks) if process.on_spot else process.tasks
        return [cls(process.cpu, on_demand), cls(process.cpu, process.tasks - on_demand, spot=True)]


@dataclass(frozen=True)
class Release:
    """What is about to run, as far as it is known: a preview does not know what is still to be made."""

    images: Sequence[str]
    architecture: str
    """ECS's name for it."""
    tasks: Sequence[Tasks]
    """All that the stack runs at least."""
    cluster: str = ""
    """ARN; empty where it is still to be made."""


def check_release(aws: Aws, release: Release, say: Callable[[str], None]) -> None:
    """Look at the images that are there already, and at the account's limits.

    Raises `SlipwayError` for what would stop the release half-way; says what could not be looked at.
    """
    for image in release.images:
        if REGISTRY.match(image):
            check_image(aws, image, release.architecture)
    for line in check_room(aws, release.tasks, release.cluster):
        say(line)


def check_image(aws: Aws, image: str, architecture: str) -> None:
    """Look for an image of ECR by its digest, and whether it is built for the task's architecture.

    `image` is `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:...`; `architecture` is ECS's name for it.
    Raises `SlipwayError` when there is no such image, or when it is for another architecture.
    """
    address, _, digest = image.partition("@")
    repository = address.partition("/")[2].partition(":")[0]
    if not digest or not repository:
        raise SlipwayError(f"Capacity: {image} is not an image by digest.", "Deploy REPOSITORY@sha256:...")
    manifest = _manifest(aws, repository, digest)
    wanted = ARCHITECTURES[architecture]
    if "manifests" in manifest:
        found = {each.get("platform", {}).get("architecture", "") for each in manifest["manifests"]} - {"unknown", ""}
    else:
        found = {_architecture(aws, repository, manifest["config"]["digest"])}
    if wanted not in found:
        raise SlipwayError(
            f"Capacity: {repository}@{digest[:19]} is built for {', '.join(sorted(found))}, "
            f"and the task runs on {wanted} ({architecture}).",
            f"Build it with --platform linux/{wanted}, or change the setting `architecture`.",
        )


def image_of(aws: Clients, repository: str, digest: str) -> Any:
    """An image as ECR tells of it, with its manifest; None where the repository has none of this digest."""
    found = aws.client("ecr").batch_get_image(
        repositoryName=repository, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=list(MANIFESTS)
    )["images"]
    return next(iter(found), None)


def _manifest(aws: Aws, repository: str, digest: str) -> Any:
    try:
        found = image_of(aws, repository, digest)
    except aws.client("ecr").exceptions.RepositoryNotFoundException:
        found = None
    if not found:
        raise SlipwayError(
            f"Capacity: the registry has no image {repository}@{digest}.",
            "It was never pushed there, or it has expired: deploy another digest.",
        )
    return json.loads(found["imageManifest"])


def _architecture(aws: Aws, repository: str, config: str) -> str:
    url = aws.client("ecr").get_download_url_for_layer(repositoryName=repository, layerDigest=config)["downloadUrl"]
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - ECR's own address of a blob
        return str(json.load(answer)["architecture"])


def check_room(aws: Aws, tasks: Sequence[Tasks], cluster: str = "") -> list[str]:
    """Compare the account's vCPUs with what `tasks` need beside what runs; what there is to say, for a person.

    Where `cluster` runs them already, a rollout starts as many a second time, but goes on with one at a time.
    Raises `SlipwayError` with the numbers when there is not room for that one, or at first for all.
    """
    told: list[str] = []
    for name, quota, spot in (("vCPUs of Fargate tasks", VCPUS, False), ("vCPUs of Spot tasks", SPOT_VCPUS, True)):
        wanted = [each for each in tasks if each.spot == spot and each.count]
        if not wanted:
            continue
        try:
            limit, used = _quota(aws, *quota), _used_vcpus(aws, spot)
        except (ClientError, BotoCoreError) as error:
            told.append(f"The account's limit of {name} cannot be read, so it is not checked: {error}")
            continue
        mine = used.get(cluster, 0.0)
        everything = max(mine, sum(each.cpu * each.count for each in wanted) / CPU_UNITS)
        least = max(each.cpu for each in wanted) / CPU_UNITS if mine else everything
        _compare(name, quota, limit, sum(used.values()), least)
        if sum(used.values()) + everything > limit:
            told.append(
                f"The account may have {limit:g} {name} and {sum(used.values()):g} are in use: the rollout cannot run "
                f"all {everything:g} a second time, and goes on more slowly as former tasks end."
            )
    return told


def check_addresses(aws: Aws, needed: int, in_use: int) -> None:
    """Compare the account's Elastic IPs with the `needed` ones that are about to be made beside those `in_use`.

    Raises `SlipwayError` with the numbers when they do not suffice, or botocore's errors when nobody may ask.
    """
    _compare("Elastic IPs", ADDRESSES, _quota(aws, *ADDRESSES), in_use, needed)


def addresses_in_use(aws: Aws) -> int:
    """The account's Elastic IPs in the region."""
    return len(aws.client("ec2").describe_addresses()["Addresses"])


def check_range(aws: Aws, stack: str, cidr: str) -> None:
    """Whether a VPC of this range may be made for `stack` (`<project>-<stack>`, as its tags say).

    Raises `SlipwayError` where the stack has one of another range: a network's range cannot change, and another one in
    its place takes everything in it along, half of which AWS then refuses.
    """
    found = aws.client("ec2").describe_vpcs(Filters=[{"Name": "tag:stack", "Values": [stack]}])["Vpcs"]
    others = sorted(f"{vpc['CidrBlock']} ({vpc['VpcId']})" for vpc in found if vpc["CidrBlock"] != cidr)
    if others:
        raise SlipwayError(
            f"vpcCidr is {cidr}, and the stack's network has {', '.join(others)}: a network's range cannot change.",
            "Set vpcCidr back. For another range deploy a stack of another name and move there, or destroy this one.",
        )


def _compare(name: str, quota: tuple[str, str], limit: float, used: float, needed: float) -> None:
    if used + needed > limit:
        raise SlipwayError(
            f"Capacity: the account may have {limit:g} {name}; {used:g} are in use, {needed:g} more are needed.",
            f"aws service-quotas request-service-quota-increase --service-code {quota[0]} --quota-code {quota[1]} "
            f"--desired-value {math.ceil(used + needed)}",
        )


def _quota(aws: Aws, service: str, code: str) -> float:
    return float(aws.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def _used_vcpus(aws: Aws, spot: bool) -> dict[str, float]:
    """Cluster -> the vCPUs of its tasks, of one kind."""
    ecs = aws.client("ecs")
    clusters = [arn for page in ecs.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    return {cluster: _vcpus(ecs, cluster, spot) for cluster in clusters}


def _vcpus(ecs: Any, cluster: str, spot: bool) -> float:
    pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, launchType="FARGATE")
    arns = [arn for page in pages for arn in page["taskArns"]]
    tasks: Iterable[Any] = (
        task
        for start in range(0, len(arns), 100)
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])["tasks"]
    )
    ours = (task for task in tasks if (task.get("capacityProviderName") == "FARGATE_SPOT") == spot)
    return sum(int(task["cpu"]) for task in ours) / CPU_UNITS

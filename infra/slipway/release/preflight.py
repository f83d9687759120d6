"""Checks before any change what would stop a release half-way: images and quotas. Settings check task sizes."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.config.app_spec.process import ProcessSpec
from slipway.config.errors import SlipwayError
from slipway.config.local_aws import is_local_host
from slipway.release.aws_errors import describe_aws_error
from slipway.release.aws_session import AwsSession, ClientFactory

OCI_ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}
"""ECS's name of an architecture -> the image's."""
INDEX_MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_MEDIA_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    *INDEX_MEDIA_TYPES,
)
ON_DEMAND_VCPU_QUOTA = ("fargate", "L-3032A538")
SPOT_VCPU_QUOTA = ("fargate", "L-36FBB829")
ELASTIC_IP_QUOTA = ("ec2", "L-0263D0A3")
"""Service code and quota code."""
CPU_UNITS = 1024
ECR_HOST_PATTERN = re.compile(r"\d{12}\.dkr\.ecr\.")


@dataclass(frozen=True)
class TaskDemand:
    """A stack's tasks of one size."""

    cpu: int
    """CPU units of each task."""
    count: int
    spot: bool = False

    @classmethod
    def of(cls, process: ProcessSpec) -> list[TaskDemand]:
        """Returns the tasks of a process, on demand and on Spot."""
        on_demand = process.spot_strategy.on_demand(process.tasks) if process.spot_strategy else process.tasks
        return [cls(process.cpu, on_demand), cls(process.cpu, process.tasks - on_demand, spot=True)]


@dataclass(frozen=True)
class PlannedRelease:
    """The release to deploy, as far as known: a preview lacks the outputs of new resources."""

    images: Sequence[str]
    architecture: str
    """ECS's name."""
    tasks: Sequence[TaskDemand]
    """Minimum number of tasks of the stack."""
    cluster: str = ""
    """ARN; empty before its creation."""


def check_release(aws: AwsSession, release: PlannedRelease, say: Callable[[str], None]) -> None:
    """Checks existing images, and the account's quotas.

    Raises `SlipwayError` for what would stop the release half-way; reports what could not be checked.
    """
    for image in release.images:
        if is_in_ecr(image):
            check_image(aws, image, release.architecture)
    for line in check_vcpu_quota(aws, release.tasks, release.cluster):
        say(line)


def is_in_ecr(image: str) -> bool:
    """Returns whether an image reference names a registry of ECR, also of the local one; others are not checked."""
    registry, slash, _ = image.partition("/")
    host, colon, _ = registry.partition(":")
    return bool(ECR_HOST_PATTERN.match(registry)) or bool(slash and colon and is_local_host(host))


def check_image(aws: AwsSession, image: str, architecture: str) -> None:
    """Checks that an image is in ECR and is built for the task's architecture.

    `image` is `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:...`; `architecture` is ECS's name for it.
    Raises `SlipwayError` if there is no such image, or if it is for another architecture.
    """
    address, _, digest = image.partition("@")
    repository = address.partition("/")[2].partition(":")[0]
    if not digest or not repository:
        raise SlipwayError(f"Capacity: {image} has no digest.", "Deploy REPOSITORY@sha256:...")
    manifest = _get_manifest(aws, repository, digest)
    expected = OCI_ARCHITECTURES[architecture]
    if "manifests" in manifest:
        platforms = [entry.get("platform", {}) for entry in manifest["manifests"]]
        architectures = {platform.get("architecture", "") for platform in platforms} - {"unknown", ""}
    else:
        architectures = {_image_architecture(aws, repository, manifest["config"]["digest"])}
    if expected not in architectures:
        raise SlipwayError(
            f"Capacity: {repository}@{digest[:19]} is built for {', '.join(sorted(architectures))}, "
            f"and the task runs on {expected} ({architecture}).",
            f"Build it with --platform linux/{expected}, or change the setting `architecture`.",
        )


def get_image(aws: ClientFactory, repository: str, digest: str) -> Any:
    """Returns an image as ECR describes it, with its manifest; None if the repository has none of this digest."""
    images = aws.client("ecr").batch_get_image(
        repositoryName=repository, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=list(MANIFEST_MEDIA_TYPES)
    )["images"]
    return next(iter(images), None)


def _get_manifest(aws: AwsSession, repository: str, digest: str) -> Any:
    try:
        image = get_image(aws, repository, digest)
    except aws.client("ecr").exceptions.RepositoryNotFoundException:
        image = None
    if not image:
        raise SlipwayError(
            f"Capacity: the registry has no image {repository}@{digest}.",
            "It was never pushed, or it has expired: deploy another digest.",
        )
    return json.loads(image["imageManifest"])


def _image_architecture(aws: AwsSession, repository: str, config: str) -> str:
    url = aws.client("ecr").get_download_url_for_layer(repositoryName=repository, layerDigest=config)["downloadUrl"]
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - ECR's own address of a blob
        return str(json.load(answer)["architecture"])


def check_vcpu_quota(aws: AwsSession, tasks: Sequence[TaskDemand], cluster: str = "") -> list[str]:
    """Compares the account's vCPU quotas with the running tasks and the new `tasks`; returns remarks.

    If `cluster` runs them, a rollout starts all of them a second time, or one at a time if the quota allows no more.
    Raises `SlipwayError` with the numbers if the quota does not suffice for one more task, or, at a first deployment,
    for all.
    """
    remarks: list[str] = []
    for name, quota, spot in (
        ("vCPUs of Fargate tasks", ON_DEMAND_VCPU_QUOTA, False),
        ("vCPUs of Spot tasks", SPOT_VCPU_QUOTA, True),
    ):
        demands = [demand for demand in tasks if demand.spot == spot and demand.count]
        if not demands:
            continue
        try:
            limit = _get_quota(aws, *quota)
            used = _used_vcpus(aws, spot)
        except (ClientError, BotoCoreError) as error:
            reason = describe_aws_error(error).message
            remarks.append(f"The account's quota of {name} cannot be read, and is not checked. {reason}")
            continue
        used_here = used.get(cluster, 0.0)
        used_in_all = sum(used.values())
        needed = max(used_here, sum(demand.cpu * demand.count for demand in demands) / CPU_UNITS)
        needed_at_least = max(demand.cpu for demand in demands) / CPU_UNITS if used_here else needed
        _check_quota(name, quota, limit, used_in_all, needed_at_least)
        if used_in_all + needed > limit:
            remarks.append(
                f"The account may have {limit:g} {name} and {used_in_all:g} are in use: the rollout cannot run "
                f"all {needed:g} a second time, and continues more slowly as old tasks end."
            )
    return remarks


def check_elastic_ip_quota(aws: AwsSession, needed: int, in_use: int) -> None:
    """Compares the account's quota of Elastic IPs with the `needed` new ones and those `in_use`.

    Raises `SlipwayError` with the numbers if it does not suffice, and botocore's errors if it cannot be read.
    """
    _check_quota("Elastic IPs", ELASTIC_IP_QUOTA, _get_quota(aws, *ELASTIC_IP_QUOTA), in_use, needed)


def count_elastic_ips(aws: AwsSession) -> int:
    """Returns the number of the account's Elastic IPs in the region."""
    return len(aws.client("ec2").describe_addresses()["Addresses"])


def check_vpc_cidr(aws: AwsSession, stack: str, cidr: str) -> None:
    """Checks that `stack` (`<project>-<stack>`, by its tags) has no VPC of another CIDR block.

    Raises `SlipwayError` if it has one: a VPC's CIDR block cannot change, and AWS refuses to replace a VPC in use.
    """
    vpcs = aws.client("ec2").describe_vpcs(Filters=[{"Name": "tag:stack", "Values": [stack]}])["Vpcs"]
    others = sorted(f"{vpc['CidrBlock']} ({vpc['VpcId']})" for vpc in vpcs if vpc["CidrBlock"] != cidr)
    if others:
        raise SlipwayError(
            f"vpcCidr is {cidr}, and the stack's VPC has {', '.join(others)}: a VPC's CIDR block cannot change.",
            "Restore vpcCidr. For another CIDR block deploy a stack of another name, or destroy this one.",
        )


def _check_quota(name: str, quota: tuple[str, str], limit: float, used: float, needed: float) -> None:
    if used + needed > limit:
        raise SlipwayError(
            f"Capacity: the account may have {limit:g} {name}; {used:g} are in use, {needed:g} more are needed.",
            f"aws service-quotas request-service-quota-increase --service-code {quota[0]} --quota-code {quota[1]} "
            f"--desired-value {math.ceil(used + needed)}",
        )


def _get_quota(aws: AwsSession, service: str, code: str) -> float:
    return float(aws.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def _used_vcpus(aws: AwsSession, spot: bool) -> dict[str, float]:
    """Cluster -> vCPUs of its tasks, either on Spot or on demand."""
    ecs = aws.client("ecs")
    clusters = [arn for page in ecs.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    return {cluster: _running_vcpus(ecs, cluster, spot) for cluster in clusters}


def _running_vcpus(ecs: Any, cluster: str, spot: bool) -> float:
    pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, launchType="FARGATE")
    arns = [arn for page in pages for arn in page["taskArns"]]
    tasks: Iterable[Any] = (
        task
        for start in range(0, len(arns), 100)
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])["tasks"]
    )
    of_kind = (task for task in tasks if (task.get("capacityProviderName") == "FARGATE_SPOT") == spot)
    return sum(int(task["cpu"]) for task in of_kind) / CPU_UNITS

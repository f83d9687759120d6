"""What would stop a release half-way, looked at before anything changes; sizes are checked with the settings."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import SlipwayError
from infra.release.client import Aws

ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}
"""ECS's names -> those of an image."""
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    *INDEXES,
)
VCPU_QUOTA, ADDRESS_QUOTA = ("fargate", "L-3032A538"), ("ec2", "L-0263D0A3")
CPU_UNITS = 1024
REGISTRY = re.compile(r"^(\d{12}\.dkr\.ecr\.|(localhost|127\.0\.0\.1):\d+/)")
"""How the address of an image begins that is in this account's registry; others are not looked at."""


def check_release(aws: Aws, family: str, say: Callable[[str], None]) -> None:
    """Look at the images of the newest definition of `family`, which is of the release, and at the account's limits.

    Raises `SlipwayError` for what would stop the release half-way; says what could not be looked at.
    """
    about: Any = aws.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    architecture = (about.get("runtimePlatform") or {}).get("cpuArchitecture", "X86_64")
    for container in about["containerDefinitions"]:
        if REGISTRY.match(container["image"]):
            check_image(aws, container["image"], architecture)
    for line in check_limits(aws, Demand(vcpus=int(about["cpu"]) / CPU_UNITS)):
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


def _manifest(aws: Aws, repository: str, digest: str) -> Any:
    ecr = aws.client("ecr")
    try:
        found = ecr.batch_get_image(
            repositoryName=repository, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=list(MANIFESTS)
        )["images"]
    except ecr.exceptions.RepositoryNotFoundException:
        found = []
    if not found:
        raise SlipwayError(
            f"Capacity: the registry has no image {repository}@{digest}.",
            "It was never pushed there, or it has expired: deploy another digest.",
        )
    return json.loads(found[0]["imageManifest"])


def _architecture(aws: Aws, repository: str, config: str) -> str:
    url = aws.client("ecr").get_download_url_for_layer(repositoryName=repository, layerDigest=config)["downloadUrl"]
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - ECR's own address of a blob
        return str(json.load(answer)["architecture"])


@dataclass(frozen=True)
class Demand:
    """What an account has to have room for."""

    vcpus: float = 0
    """Of the tasks that a rollout runs beside the old ones."""
    addresses: int = 0
    """Elastic IPs that are still to be made."""


def check_limits(aws: Aws, demand: Demand) -> list[str]:
    """Compare the account's limits with what is asked for; what could not be read, for a person.

    Raises `SlipwayError` with the numbers when one does not suffice.
    """
    told: list[str] = []
    for name, quota, needed, used in (
        ("vCPU of Fargate tasks", VCPU_QUOTA, demand.vcpus, _used_vcpus),
        ("Elastic IPs", ADDRESS_QUOTA, demand.addresses, _used_addresses),
    ):
        if not needed:
            continue
        limit = _quota(aws, *quota)
        if limit is None:
            told.append(f"The account's limit of {name} cannot be read (servicequotas:GetServiceQuota): not checked.")
            continue
        taken = used(aws)
        if taken + needed > limit:
            raise SlipwayError(
                f"Capacity: the account may have {limit:g} {name}; {taken:g} are in use, {needed:g} more are needed.",
                f"aws service-quotas request-service-quota-increase --service-code {quota[0]} --quota-code {quota[1]} "
                f"--desired-value {taken + needed:g}",
            )
    return told


def _quota(aws: Aws, service: str, code: str) -> float | None:
    try:
        return float(
            aws.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
        )
    except (ClientError, BotoCoreError):
        return None  # the caller says so


def _used_addresses(aws: Aws) -> float:
    return float(len(aws.client("ec2").describe_addresses()["Addresses"]))


def _used_vcpus(aws: Aws) -> float:
    ecs = aws.client("ecs")
    clusters = [arn for page in ecs.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    return sum(_vcpus(ecs, cluster) for cluster in clusters)


def _vcpus(ecs: Any, cluster: str) -> float:
    pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, launchType="FARGATE")
    arns = [arn for page in pages for arn in page["taskArns"]]
    tasks: Iterable[Any] = (
        task
        for start in range(0, len(arns), 100)
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])["tasks"]
    )
    return sum(int(task["cpu"]) for task in tasks) / CPU_UNITS

"""The image repository of an environment."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import RepositoryOutputs


@dataclass(frozen=True)
class EcrRepositoryArgs:
    """Inputs of `EcrRepository`."""

    key_arn: pulumi.Input[str]
    force_delete: bool = False
    """Whether deletion also deletes the images in it."""
    untagged_retention_days: int = 14
    """Days until an untagged image expires: an interrupted push leaves one."""


class EcrRepository(pulumi.ComponentResource):
    """Creates a repository with immutable tags (ECR.2), scan on push (ECR.1), a KMS key (ECR.5), a lifecycle (ECR.3).

    The lifecycle deletes untagged images only. A deployed image has a tag, so neither count nor age expires a digest
    that a service, or a rollback, still needs; `slipway image prune` deletes old images after asking ECS. Costs 0.10
    USD a GB and month; each layer is stored once, so a release adds little more than the app's own.
    """

    outputs: RepositoryOutputs

    def __init__(self, name: str, args: EcrRepositoryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecr:EcrRepository", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        repository = aws.ecr.Repository(
            f"{name}-repository",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key_arn}],
            force_delete=args.force_delete,
            opts=child,
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=repository.name,
            policy=json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "description": f"images without a tag, after {args.untagged_retention_days} days",
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "sinceImagePushed",
                                "countUnit": "days",
                                "countNumber": args.untagged_retention_days,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            opts=child,
        )
        self.outputs = RepositoryOutputs(repository.repository_url, repository.arn)
        self.register_outputs({"repositoryUrl": repository.repository_url})

"""The container registry of an environment."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.foundation import RegistryFacts
from infra.settings import Settings


@dataclass(frozen=True)
class RegistryArgs:
    """Inputs of `Registry`."""

    key_arn: pulumi.Input[str]
    force_delete: bool = False
    """Delete the repository with the images in it; for environments that come and go."""
    untagged_days: int = 14
    """How long an image without a tag stays: what a broken push left behind."""

    @classmethod
    def of(cls, settings: Settings, *, key_arn: pulumi.Input[str]) -> RegistryArgs:
        """As a stack's settings have it."""
        return cls(key_arn=key_arn, force_delete=not settings.protect)


class Registry(pulumi.ComponentResource):
    """An ECR repository with immutable tags (ECR.2), scan on push (ECR.1), its own key (ECR.5), a lifecycle (ECR.3).

    The lifecycle takes images without a tag only. Whatever was deployed has a tag, so no count and no age can expire
    a digest that a service, or a rollback, still needs: `slipway image prune` takes old ones, for it asks ECS first.
    Costs 0.10 USD a GB and month; a repository keeps each layer once, and a release adds little more than the app's
    own.
    """

    facts: RegistryFacts

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:registry:Registry", name, None, opts)
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
                            "description": f"images without a tag, after {args.untagged_days} days",
                            "selection": {
                                "tagStatus": "untagged",
                                "countType": "sinceImagePushed",
                                "countUnit": "days",
                                "countNumber": args.untagged_days,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
            opts=child,
        )
        self.facts = RegistryFacts(repository.repository_url, repository.arn)
        self.register_outputs({"repositoryUrl": repository.repository_url})

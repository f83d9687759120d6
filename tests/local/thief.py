"""What somebody with the previews' role would try: whoever can push a branch has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.local.pipeline_roles import Shop

STATE_BUCKET = "slipway-state-of-tests"


class Thief:
    """Somebody with the previews' role, and what there is to steal."""

    def __init__(self, shop: Shop) -> None:
        self.base, self.prod = shop.outputs("staging"), shop.outputs("prod")
        self._aws = shop.clone.aws
        self._session = shop.assume(self.base["previewRole"], "preview")
        self.shop = shop

    def client(self, service: str) -> Any:
        return self.shop.client(service, self._session)

    def cluster(self, outputs: Any) -> str:
        return str(outputs["foundation"]["cluster"]["arn"])

    def secret(self, prefix: str) -> str:
        secrets = self._aws("secretsmanager").list_secrets()["SecretList"]
        return next(str(secret["ARN"]) for secret in secrets if secret["Name"].startswith(prefix))

    def owner_secret(self) -> str:
        return self.secret("rds!")

    def target_group(self, stack: str) -> str:
        groups = self._aws("elbv2").describe_target_groups()["TargetGroups"]
        tagged = self._aws("elbv2").describe_tags(ResourceArns=[group["TargetGroupArn"] for group in groups])
        return next(
            str(entry["ResourceArn"])
            for entry in tagged["TagDescriptions"]
            if {"Key": "stack", "Value": f"slipway-{stack}"} in entry["Tags"]
        )

    def family(self, name: str) -> str:
        definitions = self._aws("ecs").list_task_definitions()["taskDefinitionArns"]
        return next(str(arn) for arn in definitions if f"/slipway-{name}:" in arn)


PREVIEW_TAG = [{"Key": "stack", "Value": "slipway-pr-7"}]
CONTAINERS = [{"name": "web", "image": "nginx", "essential": True}]
ATTEMPTS: dict[str, Callable[[Thief], Any]] = {
    "the base's secret": lambda thief: thief.client("secretsmanager").get_secret_value(
        SecretId=thief.secret("slipway-staging-secret-key")
    ),
    "prod's secret": lambda thief: thief.client("secretsmanager").get_secret_value(
        SecretId=thief.secret("slipway-prod-secret-key")
    ),
    "the database's owner": lambda thief: thief.client("secretsmanager").get_secret_value(
        SecretId=thief.owner_secret()
    ),
    "the base's state, to write": lambda thief: thief.client("s3").put_object(
        Bucket=STATE_BUCKET, Key=".pulumi/stacks/slipway/staging.json", Body=b"{}"
    ),
    "prod's state, to read": lambda thief: thief.client("s3").get_object(
        Bucket=STATE_BUCKET, Key=".pulumi/stacks/slipway/prod.json"
    ),
    "the base's service": lambda thief: thief.client("ecs").update_service(
        cluster=thief.cluster(thief.base), service=thief.base["services"]["web"], desiredCount=0
    ),
    "prod's service, deleted": lambda thief: thief.client("ecs").delete_service(
        cluster=thief.cluster(thief.prod), service=thief.prod["services"]["web"], force=True
    ),
    "a revision of the release family": lambda thief: thief.client("ecs").register_task_definition(
        family="slipway-staging-release", containerDefinitions=CONTAINERS
    ),
    "prod's release task": lambda thief: thief.client("ecs").run_task(
        cluster=thief.cluster(thief.prod), taskDefinition=thief.family("prod-release")
    ),
    "the base's target group, tagged as a preview's": lambda thief: thief.client("elbv2").add_tags(
        ResourceArns=[thief.target_group("staging")], Tags=PREVIEW_TAG
    ),
    "the base's target group, deleted": lambda thief: thief.client("elbv2").delete_target_group(
        TargetGroupArn=thief.target_group("staging")
    ),
    "prod's target group, changed": lambda thief: thief.client("elbv2").modify_target_group(
        TargetGroupArn=thief.target_group("prod"), HealthCheckPath="/nowhere"
    ),
    "a rule on prod's listener": lambda thief: thief.client("elbv2").create_rule(
        ListenerArn=thief.prod["foundation"]["load_balancer"]["listener_arn"],
        Priority=9,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
        Tags=PREVIEW_TAG,
    ),
    "prod's image, deleted": lambda thief: thief.client("ecr").batch_delete_image(
        repositoryName=thief.prod["foundation"]["registry"]["arn"].partition("/")[2],
        imageIds=[{"imageDigest": thief.prod["imageDigest"]}],
    ),
    "the pipeline's role": lambda thief: thief.client("sts").assume_role(
        RoleArn=thief.prod["pipelineRole"], RoleSessionName="thief"
    ),
    "its own policy": lambda thief: thief.client("iam").put_role_policy(
        RoleName=thief.base["previewRole"].rpartition("/")[2], PolicyName="more", PolicyDocument="{}"
    ),
    "the base's task role, passed": lambda thief: thief.client("ecs").register_task_definition(
        family="slipway-pr-7-web",
        containerDefinitions=CONTAINERS,
        taskRoleArn=thief.shop.role("worker-task", "staging"),
    ),
}

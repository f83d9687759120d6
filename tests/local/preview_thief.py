"""What somebody would try with the previews' role, which whoever can push a branch has, or in a preview's container."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any

from tests.local.pipeline_stacks import Session, Shop

PREVIEW_TAG = [{"Key": "stack", "Value": "slipway-pr-7"}]
CONTAINERS = [{"name": "web", "image": "nginx", "essential": True}]


class Thief:
    """Somebody with a session, and what there is to steal."""

    def __init__(self, shop: Shop, session: Session) -> None:
        self.base, self.prod = shop.outputs("staging"), shop.outputs("prod")
        self.shop, self.session = shop, session

    def client(self, service: str) -> Any:
        return self.shop.client(service, self.session)

    def cluster(self, outputs: Any) -> str:
        return str(outputs["foundation"]["cluster"]["arn"])

    def secret(self, prefix: str, stack: str = "staging") -> str:
        secrets = self.shop.aws("secretsmanager", stack).list_secrets()["SecretList"]
        return next(str(secret["ARN"]) for secret in secrets if secret["Name"].startswith(prefix))

    def target_group(self, stack: str) -> str:
        elb = self.shop.aws("elbv2", stack)
        groups = elb.describe_target_groups()["TargetGroups"]
        tagged = elb.describe_tags(ResourceArns=[group["TargetGroupArn"] for group in groups])
        return next(
            str(entry["ResourceArn"])
            for entry in tagged["TagDescriptions"]
            if {"Key": "stack", "Value": f"slipway-{stack}"} in entry["Tags"]
        )

    def listener(self, outputs: Any) -> str:
        return str(outputs["foundation"]["load_balancer"]["listener_arn"])

    def rule(self, stack: str) -> str:
        """A rule that the stack's own jobs have made; its listener's default one where it has no other."""
        outputs = self.base if stack == "staging" else self.prod
        rules = self.shop.aws("elbv2", stack).describe_rules(ListenerArn=self.listener(outputs))["Rules"]
        return str(rules[-1]["RuleArn"])

    def family(self, name: str, stack: str = "staging") -> str:
        definitions = self.shop.aws("ecs", stack).list_task_definitions()["taskDefinitionArns"]
        return next(str(arn) for arn in definitions if f"/slipway-{name}:" in arn)

    def repository(self, outputs: Any) -> str:
        return str(outputs["foundation"]["registry"]["arn"].partition("/")[2])

    def task(self) -> str:
        tasks = self.shop.aws("ecs").list_tasks(
            cluster=self.cluster(self.base), serviceName=self.base["services"]["web"]
        )
        return str(tasks["taskArns"][0])

    def queue(self) -> str:
        return str(self.shop.aws("sqs").list_queues(QueueNamePrefix="slipway-staging")["QueueUrls"][0])

    @cached_property
    def database(self) -> str:
        return str(self.shop.aws("rds").describe_db_instances()["DBInstances"][0]["DBInstanceIdentifier"])

    def rule_on(self, outputs: Any) -> str:
        made = self.client("elbv2").create_rule(
            ListenerArn=self.listener(outputs),
            Priority=9,
            Conditions=[{"Field": "path-pattern", "Values": ["/never"]}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
            Tags=PREVIEW_TAG,
        )
        return str(made["Rules"][0]["RuleArn"])

    def register(self, family: str, **roles: str) -> str:
        made = self.client("ecs").register_task_definition(family=family, containerDefinitions=CONTAINERS, **roles)
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def delete_image(self, outputs: Any) -> Any:
        digest = outputs["imageDigest"]
        return self.client("ecr").batch_delete_image(
            repositoryName=self.repository(outputs), imageIds=[{"imageDigest": digest}]
        )


Attempt = Callable[[Thief], Any]
STATE = ".pulumi/stacks/slipway"


def _state(thief: Thief, stack: str) -> dict[str, str]:
    return {"Bucket": str(thief.shop.backend["bucket"]), "Key": f"{STATE}/{stack}.json"}


REFUSED: dict[str, Attempt] = {
    "the base's secret": lambda t: t.client("secretsmanager").get_secret_value(
        SecretId=t.secret("slipway-staging-secret-key")
    ),
    "prod's secret": lambda t: t.client("secretsmanager").get_secret_value(
        SecretId=t.secret("slipway-prod-secret-key", "prod")
    ),
    "the database's owner": lambda t: t.client("secretsmanager").get_secret_value(SecretId=t.secret("rds!")),
    "the owner of prod's database": lambda t: t.client("secretsmanager").get_secret_value(
        SecretId=t.secret("rds!", "prod")
    ),
    "the database, to delete": lambda t: t.client("rds").delete_db_instance(
        DBInstanceIdentifier=t.database, SkipFinalSnapshot=True
    ),
    "the database, with a password of one's own": lambda t: t.client("rds").modify_db_instance(
        DBInstanceIdentifier=t.database, MasterUserPassword="correct-horse"
    ),
    "a copy of the database": lambda t: t.client("rds").create_db_snapshot(
        DBInstanceIdentifier=t.database, DBSnapshotIdentifier="copy"
    ),
    "the base's state, to write": lambda t: t.client("s3").put_object(**_state(t, "staging"), Body=b"{}"),
    "the base's state, to delete": lambda t: t.client("s3").delete_object(**_state(t, "staging")),
    "prod's state, to read": lambda t: t.client("s3").get_object(**_state(t, "prod")),
    "the base's queue": lambda t: t.client("sqs").receive_message(QueueUrl=t.queue()),
    "the base's service": lambda t: t.client("ecs").update_service(
        cluster=t.cluster(t.base), service=t.base["services"]["web"], desiredCount=0
    ),
    "the base's service, deleted": lambda t: t.client("ecs").delete_service(
        cluster=t.cluster(t.base), service=t.base["services"]["web"], force=True
    ),
    "prod's service, deleted": lambda t: t.client("ecs").delete_service(
        cluster=t.cluster(t.prod), service=t.prod["services"]["web"], force=True
    ),
    "a shell in the base's task": lambda t: t.client("ecs").execute_command(
        cluster=t.cluster(t.base), task=t.task(), command="sh", interactive=True
    ),
    "a revision of the base's release family": lambda t: t.register("slipway-staging-release"),
    "a revision of the base's web family": lambda t: t.register("slipway-staging-web"),
    "a revision of prod's release family": lambda t: t.register("slipway-prod-release"),
    "the base's release task": lambda t: t.client("ecs").run_task(
        cluster=t.cluster(t.base), taskDefinition=t.family("staging-release")
    ),
    "prod's release task": lambda t: t.client("ecs").run_task(
        cluster=t.cluster(t.prod), taskDefinition=t.family("prod-release", "prod")
    ),
    "the base's task role, passed": lambda t: t.register(
        "slipway-pr-7-web", taskRoleArn=t.shop.role("worker-task", "staging")
    ),
    "the base's execution role, passed": lambda t: t.register(
        "slipway-pr-7-web", executionRoleArn=t.shop.role("web-execution", "staging")
    ),
    "the base's target group, tagged as a preview's": lambda t: t.client("elbv2").add_tags(
        ResourceArns=[t.target_group("staging")], Tags=PREVIEW_TAG
    ),
    "the base's target group, deleted": lambda t: t.client("elbv2").delete_target_group(
        TargetGroupArn=t.target_group("staging")
    ),
    "the base's target group, with a target of one's own": lambda t: t.client("elbv2").register_targets(
        TargetGroupArn=t.target_group("staging"), Targets=[{"Id": "10.0.0.9"}]
    ),
    "prod's target group, changed": lambda t: t.client("elbv2").modify_target_group(
        TargetGroupArn=t.target_group("prod"), HealthCheckPath="/nowhere"
    ),
    "the base's listener": lambda t: t.client("elbv2").delete_listener(ListenerArn=t.listener(t.base)),
    "a rule without a preview's tag": lambda t: t.client("elbv2").create_rule(
        ListenerArn=t.listener(t.base), Priority=8, Conditions=[], Actions=[]
    ),
    "a rule on prod's listener": lambda t: t.rule_on(t.prod),
    "prod's rule, deleted": lambda t: t.client("elbv2").delete_rule(RuleArn=t.rule("prod")),
    "prod's image, deleted": lambda t: t.delete_image(t.prod),
    "the base's registry, deleted": lambda t: t.client("ecr").delete_repository(
        repositoryName=t.repository(t.base), force=True
    ),
    "the base's log": lambda t: t.client("logs").filter_log_events(logGroupName=t.base["logGroups"]["web"]),
    "the base's pipeline's role": lambda t: t.client("sts").assume_role(
        RoleArn=t.base["pipelineRole"], RoleSessionName="thief"
    ),
    "prod's pipeline's role": lambda t: t.client("sts").assume_role(
        RoleArn=t.prod["pipelineRole"], RoleSessionName="thief"
    ),
    "its own policy": lambda t: t.client("iam").put_role_policy(
        RoleName=t.base["previewRole"].rpartition("/")[2], PolicyName="more", PolicyDocument="{}"
    ),
    "a role of one's own": lambda t: t.client("iam").create_role(RoleName="thief", AssumeRolePolicyDocument="{}"),
    "the account's key": lambda t: t.client("kms").schedule_key_deletion(KeyId=str(t.shop.backend["key_arn"])),
    "the base's security group": lambda t: t.client("ec2").authorize_security_group_ingress(
        GroupId=t.base["foundation"]["load_balancer"]["security_group_id"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    ),
}
"""Nobody may do these: neither with the previews' role nor in a preview's container."""


def _take_requests(thief: Thief) -> None:
    thief.client("elbv2").delete_rule(RuleArn=thief.rule_on(thief.base))


def _deregister(thief: Thief) -> None:
    made = thief.shop.aws("ecs").register_task_definition(family="slipway-prod-web", containerDefinitions=CONTAINERS)
    thief.client("ecs").deregister_task_definition(taskDefinition=made["taskDefinition"]["taskDefinitionArn"])


def _pass_the_owners_role(thief: Thief) -> None:
    role = thief.shop.role("previews-db-execution", "staging")
    arn = thief.register("slipway-pr-9-thief", executionRoleArn=role)
    thief.client("ecs").deregister_task_definition(taskDefinition=arn)


def _delete_an_image(thief: Thief) -> None:
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
    name = thief.repository(thief.base)
    ecr = thief.client("ecr")
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="thief")
    gone = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "thief"}])
    assert gone["imageIds"]


WORKS: dict[str, tuple[Attempt, str]] = {
    "the secret of a preview": (
        lambda t: t.client("secretsmanager").get_secret_value(SecretId=t.secret("slipway-staging/preview/")),
        "read the secrets of all previews",
    ),
    "the role that reads the database's owner": (_pass_the_owners_role, "open the base's database as its owner"),
    "the base's requests": (_take_requests, "add a listener rule that takes the base's requests"),
    "any task definition": (_deregister, "Deregister any task definition"),
    "the base's state": (
        lambda t: t.client("s3").get_object(**_state(t, "staging")),
        "read the base's Pulumi state, with the secrets in it",
    ),
    "an image of the base's registry": (_delete_an_image, "push images to the base's registry and delete them"),
    "a task of the base": (
        lambda t: t.client("ecs").stop_task(cluster=t.cluster(t.base), task=t.task()),
        "stop tasks of the base's cluster",
    ),
}
"""What the previews' role can do, and where docs/pipeline.md says it; in a preview's container none of it works."""

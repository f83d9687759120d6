"""The whole program, as each stack file has it: who reaches whom, and what each role may do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from slipway.config.settings import Settings
from tests.infra import recorder
from tests.infra.program import APP_FILE, OF_THE_KIT, PREVIEWS, STACKS, containers, plain, program, programmed
from tests.infra.recorder import Registered, of, task_definition_arn

ALARMS = {
    "load-balancer-errors", "web-errors", "web-latency", "web-unhealthy", "web-tasks", "worker-tasks",
    "database-cpu", "database-storage", "database-connections",
    "queue-age", "dead-letters", "cleanup-not-started", "prometheus-tasks",
}  # fmt: skip
EXPORTERS = {"exporter-database": {"DATA_SOURCE_PASS"}, "exporter-cache": {"REDIS_PASSWORD"}}
"""Container -> its secrets."""
USERS = ("app", "release", "metrics")
"""Of the database: roles that log in."""
OF_INSIGHTS = {"web-tasks", "worker-tasks", "prometheus-tasks"}
CACHE_ALARMS = {"memory", "evictions", "engine-cpu", "freeable"}
"""Of each node."""
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


def ends(rule: Registered) -> tuple[str, str, int]:
    """From, to, port; names without the environment."""
    given = rule.inputs
    other = given.get("referencedSecurityGroupId") or given.get("cidrIpv4")
    pair = (other, given["securityGroupId"]) if rule.type == INGRESS else (given["securityGroupId"], other)
    source, target = (part.removesuffix("-id").split("-", 2)[-1] for part in pair)
    return source, target, given["fromPort"]


@pytest.mark.parametrize("stack", STACKS)
def test_who_can_reach_whom_is_exactly_this(stack: str) -> None:
    between = {
        ("lb", "web", 8000),
        ("web", "database", 5433),
        ("web", "cache", 6379),
        ("worker", "database", 5433),
        ("worker", "cache", 6379),
        ("cleanup", "database", 5433),
        ("cleanup", "cache", 6379),
        ("release", "database", 5433),
        ("release", "cache", 6379),
    }
    if Settings.from_files(stack).exec_enabled:
        between.add(("connect", "database", 5433))
    if Settings.from_files(stack).monitoring:
        between |= {("prometheus", "web", 9102), ("prometheus", "worker", 9102)}
        between |= {("prometheus", "database", 5433), ("prometheus", "cache", 6379)}
    if Settings.from_files(stack).grafana:
        between |= {("lb", "grafana", 3000), ("grafana", "prometheus", 9090)}
    if Settings.from_files(stack).previews:
        # On any port (1 to 65535): each pull request's app has its own.
        between |= {("lb", "previews", 1), ("previews", "database", 5433)}
    doors = {80, 443} if Settings.from_files(stack).domain else {80}
    incoming = {ends(rule) for rule in of(program(stack), INGRESS)}
    outgoing = {ends(rule) for rule in of(program(stack), EGRESS)}
    assert incoming == between | {("0.0.0.0/0", "lb", door) for door in doors}
    assert outgoing == between | {(tasks, "0.0.0.0/0", 443) for tasks in {source for source, *_ in between} - {"lb"}}


PULL = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
START = {"ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents", *PULL}
START_WITH_SECRETS = START | {"secretsmanager:GetSecretValue", "kms:Decrypt"}
ROLES = {
    "web-execution": START_WITH_SECRETS,
    "web-task": {"sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "s3:GetObject", "s3:ListBucket"},
    "worker-execution": START_WITH_SECRETS,
    "worker-task": {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
        "s3:PutObject",
        "s3:DeleteObject",
        "ecs:GetTaskProtection",
        "ecs:UpdateTaskProtection",
    },
    "release-execution": START_WITH_SECRETS,
    "cleanup-execution": START_WITH_SECRETS,
    "cleanup-scheduler": {"ecs:RunTask", "ecs:TagResource", "iam:PassRole", "sqs:SendMessage"},
    "flow-logs": {"logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"},
}
ROLES_OF_PREVIEWS = {"previews-execution": START_WITH_SECRETS, "previews-db-execution": START_WITH_SECRETS}
FIND_TASKS = {
    "ecs:ListServices",
    "ecs:ListTasks",
    "ecs:DescribeServices",
    "ecs:DescribeTasks",
    "ecs:DescribeContainerInstances",
}
ROLES_OF_MONITORING = {
    "prometheus-execution": START_WITH_SECRETS,
    "prometheus-task": FIND_TASKS
    | {"ecs:DescribeClusters", "ec2:DescribeNetworkInterfaces", "sns:Publish", "kms:Decrypt", "kms:GenerateDataKey"},
}
EXEC = {
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    "logs:DescribeLogGroups",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "kms:Decrypt",
}
OF_AN_AGENT = ("web-task", "worker-task", "cleanup-task", "release-task", "previews-task")
"""Task roles of containers that run code of the app's."""
REMOTE_WRITE = {"aps:RemoteWrite"}
READ_CLOUDWATCH = {"cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "ec2:DescribeRegions"}
ROLES_OF_GRAFANA = {"grafana-execution": START_WITH_SECRETS, "grafana-task": READ_CLOUDWATCH}
ANY_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "ec2:DescribeNetworkInterfaces",
    "logs:DescribeLogGroups",
    *(action for action in EXEC if action.startswith("ssmmessages:")),
} | READ_CLOUDWATCH  # AWS allows no resource on them


@pytest.mark.parametrize("stack", STACKS)
def test_what_each_role_may_do_is_exactly_this(stack: str) -> None:
    found: dict[str, set[str]] = {}
    for policy in of(program(stack), "aws:iam/rolePolicy:RolePolicy"):
        role = policy.inputs["role"].removesuffix("-id").split("-", 2)[-1]
        for statement in json.loads(plain(policy.inputs["policy"]))["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            found.setdefault(role, set()).update(actions)
            if statement["Resource"] == "*":
                in_cluster = set(statement.get("Condition", {}).get("ArnEquals", {})) == {"ecs:cluster"}
                assert set(actions) <= (FIND_TASKS if in_cluster else ANY_RESOURCE)
            if "iam:PassRole" in actions:
                assert statement["Condition"]["StringEquals"]["iam:PassedToService"] == "ecs-tasks.amazonaws.com"
    settings = Settings.from_files(stack)
    previews = ROLES_OF_PREVIEWS if settings.previews else {}
    monitoring = ROLES_OF_MONITORING if settings.monitoring else {}
    if settings.managed_prometheus:
        monitoring = monitoring | {"prometheus-task": monitoring["prometheus-task"] | REMOTE_WRITE}
    grafana = ROLES_OF_GRAFANA if settings.grafana else {}
    expected = ROLES | previews | monitoring | grafana
    if settings.exec_enabled:
        roles = OF_AN_AGENT if settings.previews else OF_AN_AGENT[:-1]
        expected = expected | {role: expected.get(role, set()) | EXEC for role in roles}
        expected["connect-execution"] = START_WITH_SECRETS
    assert found == expected


@pytest.mark.parametrize("stack", STACKS)
def test_every_role_is_taken_on_by_one_aws_service(stack: str) -> None:
    trusted = set()
    for role in of(program(stack), "aws:iam/role:Role"):
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert list(statement["Principal"]) == ["Service"]
        guarded = statement.get("Condition") == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
        assert guarded or role.name.endswith("execution"), role.name
        trusted.add(statement["Principal"]["Service"])
    assert trusted == {
        "ecs-tasks.amazonaws.com",
        "monitoring.rds.amazonaws.com",
        "scheduler.amazonaws.com",
        "vpc-flow-logs.amazonaws.com",
    }


# https://docs.aws.amazon.com: the longest name of each, into which Pulumi's eight random characters must fit as well.
LONGEST = {
    "aws:lb/loadBalancer:LoadBalancer": 32,
    "aws:lb/targetGroup:TargetGroup": 32,
    "aws:elasticache/replicationGroup:ReplicationGroup": 40,
    "aws:rds/instance:Instance": 63,
    "aws:s3/bucket:Bucket": 63,
    "aws:iam/role:Role": 64,
    "aws:scheduler/schedule:Schedule": 64,
    "aws:sqs/queue:Queue": 80,
    "aws:wafv2/webAcl:WebAcl": 128,
}


@pytest.mark.parametrize("stack", STACKS)
def test_every_name_is_within_awss_limit(stack: str) -> None:
    for resource in program(stack):
        assert len(resource.name) + 8 <= LONGEST.get(resource.type, 200), resource.name
        if resource.type.startswith(("aws:rds/", "aws:elasticache/", "aws:lb/", "aws:s3/")):
            assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", resource.name), resource.name


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_belongs_to_a_component(stack: str) -> None:
    orphans = [r.name for r in program(stack) if r.type.startswith(("aws:", "docker-build:")) and not r.parent]
    assert orphans == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_log_group_is_encrypted_and_ends_some_day(stack: str) -> None:
    groups = of(program(stack), "aws:cloudwatch/logGroup:LogGroup")
    insights = {"insights"} if Settings.from_files(stack).container_insights else set()
    by_aws = {g.name.removeprefix(f"slipway-{stack}-") for g in groups if str(g.inputs.get("name")).startswith("/aws/")}
    assert by_aws == {"database-postgresql", "database-upgrade"} | insights
    assert {g.inputs["retentionInDays"] for g in groups} == {Settings.from_files(stack).log_retention_days}
    assert all(group.inputs["kmsKeyId"] for group in groups)


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_can_go_wrong_has_its_alarm(stack: str) -> None:
    alarms = of(program(stack), "aws:cloudwatch/metricAlarm:MetricAlarm")
    settings = Settings.from_files(stack)
    names = {alarm.name.split("-", 2)[-1] for alarm in alarms}
    of_a_node = CACHE_ALARMS | ({"credits"} if settings.cache_class.startswith("cache.t") else set())
    nodes = {f"cache-{number}-{name}" for number in range(1, settings.cache_nodes + 1) for name in of_a_node}
    assert settings.monitoring == settings.container_insights  # in these stack files
    of_tls = {"certificate"} if settings.domain else set()
    grafana = {"grafana-tasks"} if settings.grafana else set()
    assert names == nodes | of_tls | grafana | (ALARMS if settings.container_insights else ALARMS - OF_INSIGHTS)
    watched = {alarm.inputs["dimensions"].get("CacheClusterId") for alarm in alarms if "dimensions" in alarm.inputs}
    assert len(watched - {None}) == settings.cache_nodes
    for alarm in alarms:
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [f"arn:aws:mock:::slipway-{stack}-alarms"]


@pytest.mark.parametrize("stack", STACKS)
def test_all_that_holds_data_is_protected_or_none_of_it(stack: str) -> None:
    (balancer,) = of(program(stack), "aws:lb/loadBalancer:LoadBalancer")
    (repository,) = of(program(stack), "aws:ecr/repository:Repository")
    protected = Settings.from_files(stack).protect
    assert balancer.inputs["enableDeletionProtection"] == protected  # ELB.6
    assert repository.inputs["forceDelete"] != protected
    assert {b.inputs["forceDestroy"] for b in of(program(stack), "aws:s3/bucket:Bucket")} == {not protected}


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_kits_own_step_is_given_the_owners_password_and_no_password_but_verifiers(stack: str) -> None:
    for name, container in containers(stack).items():
        secrets = {secret["name"]: secret["valueFrom"] for secret in container["secrets"]}
        owners = {key for key, source in secrets.items() if source.startswith("arn:aws:secretsmanager:::rds")}
        if name == "database":
            assert owners == {"PGUSER", "PGPASSWORD"}
            metrics = {"METRICS_VERIFIER"} if Settings.from_files(stack).monitoring else set()
            assert set(secrets) - owners == {"RELEASE_VERIFIER", "APP_VERIFIER"} | metrics
        elif name in (PREVIEWS, "connect"):
            assert owners == set(secrets) == {"PGUSER", "PGPASSWORD"}
        elif name == "grafana":
            assert set(secrets) == {"GF_SECURITY_ADMIN_PASSWORD"}
        elif name in OF_THE_KIT:
            assert set(secrets) == EXPORTERS.get(name, set())
        else:
            assert owners == set()
            assert set(secrets) == {"SECRET_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD"}
        assert not set(secrets) & {pair["name"] for pair in container["environment"]}


@pytest.mark.parametrize("stack", STACKS)
def test_the_release_step_logs_in_as_another_user_than_the_app_and_after_the_roles_are_made(stack: str) -> None:
    found = containers(stack)
    users = {name: variable(found[name], "DATABASE_USER") for name in ("web", "worker", "cleanup", "release")}
    base = f"slipway_{stack}"
    assert users == dict.fromkeys(("web", "worker", "cleanup"), f"{base}_app_1") | {"release": f"{base}_release_1"}
    assert found["release"]["dependsOn"] == [{"containerName": "database", "condition": "SUCCESS"}]
    assert (found["database"]["essential"], found["release"]["essential"]) == (False, True)
    assert variable(found["database"], "APP_ROLE") == users["web"]
    assert variable(found["database"], "RELEASE_ROLE") == users["release"]


def test_a_former_image_is_not_migrated_to_for_it_does_not_know_the_databases_revision() -> None:
    settings = Settings.from_files("dev").model_copy(update={"rollback_to": f"sha256:{'1' * 64}"})
    (release,) = [
        r
        for r in of(programmed("dev", settings), "aws:ecs/taskDefinition:TaskDefinition")
        if r.name.endswith("release-task")
    ]
    (step,) = json.loads(plain(release.inputs["containerDefinitions"]))
    assert (step["name"], step["essential"]) == ("database", True)


def variable(container: dict[str, Any], name: str) -> str:
    return next(str(pair["value"]) for pair in container["environment"] if pair["name"] == name)


@pytest.mark.parametrize("stack", STACKS)
def test_whatever_runs_the_apps_code_waits_for_the_release_step(stack: str) -> None:
    """Services and schedules alike: nothing of a release goes before the gate."""
    (release,) = [r for r in of(program(stack), "aws:ecs/taskDefinition:TaskDefinition") if "release" in r.name]
    (migrated,) = of(program(stack), "pulumi:index:Stash")
    assert migrated.inputs["input"] == task_definition_arn(
        release.inputs["family"]
    )  # another definition is another migration
    assert f"TaskDefinition {release.name}" in migrated.depends_on
    running = [*of(program(stack), "aws:ecs/service:Service"), *of(program(stack), "aws:scheduler/schedule:Schedule")]
    of_the_app = [resource for resource in running if not resource.name.endswith(("-prometheus", "-grafana"))]
    assert len(of_the_app) == 3
    for resource in of_the_app:
        assert f"Stash {migrated.name}" in resource.depends_on, resource.name


@pytest.mark.parametrize("stack", STACKS)
def test_a_job_has_longer_to_end_than_a_request(stack: str) -> None:
    found = {name: container["stopTimeout"] for name, container in containers(stack).items()}
    assert found["worker"] == 120 > found["web"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_app_answers_to_its_domain_alone(stack: str) -> None:
    hosts = variable(containers(stack)["web"], "TRUSTED_HOSTS")
    assert hosts == ("api.acme.test" if stack == "prod" else "*")


@pytest.mark.parametrize("stack", STACKS)
def test_the_database_is_encrypted_private_and_speaks_tls_only(stack: str) -> None:
    (instance,) = of(program(stack), "aws:rds/instance:Instance")
    given = instance.inputs
    assert given["storageEncrypted"]  # RDS.3
    assert given["publiclyAccessible"] is False  # RDS.2
    assert given["manageMasterUserPassword"]
    assert given["username"] not in ("postgres", "admin")  # RDS.25
    assert given["port"] != 5432  # RDS.23
    (parameters,) = of(program(stack), "aws:rds/parameterGroup:ParameterGroup")
    assert {"name": "rds.force_ssl", "value": "1"} in parameters.inputs["parameters"]  # RDS.38
    settings = Settings.from_files(stack)
    assert instance.protect == given["deletionProtection"] == settings.protect
    assert given["skipFinalSnapshot"] != settings.database_final_snapshot
    # A second life of the environment must not want the first one's name: tests/infra/test_backups.py.
    final = f"{given['identifier']}-final" if settings.database_final_snapshot else None
    assert given.get("finalSnapshotIdentifier") == final


@pytest.mark.parametrize("stack", STACKS)
def test_the_cache_is_encrypted_and_asks_for_a_token(stack: str) -> None:
    (group,) = of(program(stack), "aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["transitEncryptionEnabled"]
    assert group.inputs["atRestEncryptionEnabled"]
    assert rpc.is_rpc_secret(group.inputs["authToken"])
    assert group.inputs["kmsKeyId"]
    (parameters,) = of(program(stack), "aws:elasticache/parameterGroup:ParameterGroup")
    assert parameters.inputs["family"] == "redis7"


@pytest.mark.parametrize("stack", STACKS)
def test_generated_values_are_secret_and_stay(stack: str) -> None:
    versions = of(program(stack), "aws:secretsmanager/secretVersion:SecretVersion")
    settings = Settings.from_files(stack)
    kits = ({"metrics-1"} if settings.monitoring else set()) | ({"grafana-1"} if settings.grafana else set())
    names = {version.name.split("-", 2)[-1] for version in versions}
    assert names == {"secret-key-1", "database-1", "cache-1"} | kits
    for version in versions:
        assert rpc.is_rpc_secret(version.inputs["secretString"])
        assert version.ignore_changes == ("secretString",)


def rotated(retired: int) -> list[Registered]:
    settings = Settings.from_files("dev").model_copy(update={"secrets_generation": 3, "secrets_retired": retired})
    return programmed("dev", settings)


def given(found: list[Registered], name: str) -> dict[str, str]:
    """Plain and secret variables of the containers with this name."""
    pairs: dict[str, str] = {}
    for definition in of(found, "aws:ecs/taskDefinition:TaskDefinition"):
        for container in json.loads(rpc.unwrap_rpc_secret(definition.inputs["containerDefinitions"])):
            if container["name"] == name:
                pairs |= {pair["name"]: pair["value"] for pair in container["environment"]}
                pairs |= {secret["name"]: secret["valueFrom"] for secret in container["secrets"]}
    assert pairs, name
    return pairs


@pytest.mark.parametrize(
    ("retired", "numbers", "strategy"), [(0, ["2", "3"], "ROTATE"), (1, ["2", "3"], "ROTATE"), (2, ["3"], "SET")]
)
def test_a_rotation_leaves_the_generation_before_working_until_it_is_retired(
    retired: int, numbers: list[str], strategy: str
) -> None:
    found = rotated(retired)
    versions = [version.name for version in of(found, "aws:secretsmanager/secretVersion:SecretVersion")]
    assert sorted(version for version in versions if "-cache-" in version) == [
        f"slipway-dev-cache-{n}" for n in numbers
    ]
    (group,) = of(found, "aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["authTokenUpdateStrategy"] == strategy
    step = given(found, "database")
    assert step["APP_ROLE"] == "slipway_dev_app_3"
    gone = [f"slipway_dev_{user}_{n}" for n in range(1, retired + 1) for user in USERS]
    assert step["RETIRED_ROLES"] == ",".join(gone)
    assert ("FORMER_SECRET_KEY" in given(found, "web")) == (len(numbers) == 2)


def test_a_stack_that_was_never_rotated_has_no_former_secret() -> None:
    found = program("dev")
    (group,) = of(found, "aws:elasticache/replicationGroup:ReplicationGroup")
    assert "authTokenUpdateStrategy" not in group.inputs
    assert "FORMER_SECRET_KEY" not in given(found, "web")


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_takes_tags_says_whose_it_is(stack: str) -> None:
    tags = {"project": "slipway", "stack": f"slipway-{stack}", "tier": Settings.from_files(stack).tier}
    tagged = [resource for resource in program(stack) if resource.type.startswith("aws:") and "tags" in resource.inputs]
    assert len(tagged) > 60
    assert all(tags.items() <= resource.inputs["tags"].items() for resource in tagged)
    (budget,) = of(program(stack), "aws:budgets/budget:Budget")
    assert budget.inputs["costFilters"] == [{"name": "TagKeyValue", "values": [f"user:stack$slipway-{stack}"]}]


def test_two_stacks_of_a_tier_in_one_account_have_no_name_in_common() -> None:
    """Fixed names: a task family of both would let one stack's release run the other's code."""
    one, two = program("dev"), programmed("dev-eu", Settings.from_files("dev"))

    def fixed(found: list[Registered]) -> set[str]:
        families = {r.inputs["family"] for r in of(found, "aws:ecs/taskDefinition:TaskDefinition")}
        return families | {r.inputs["name"] for r in of(found, "aws:kms/alias:Alias")} | {r.name for r in found}

    assert {name for name in fixed(one) & fixed(two) if name} == set()


def test_a_secret_that_the_app_asks_for_and_the_stack_lacks_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(APP_FILE.read_text().replace("{SENTRY_DSN: optional}", "{SENTRY_DSN: required}"))
    made: list[str] = []
    monkeypatch.setattr(recorder.Mocks, "new_resource", lambda _, args: made.append(args.name) or (args.name, {}))
    with pytest.raises(pulumi.RunError, match=r"requires the secret SENTRY_DSN(.|\n)*'secrets\.SENTRY_DSN'"):
        programmed("dev", Settings.from_files("dev"), file)
    assert made == []


def test_a_secret_that_the_stack_has_and_the_app_does_not_ask_for_is_told() -> None:
    with pytest.raises(pulumi.RunError, match=r"the secret NOBODYS(.|\n)*does not name"):
        programmed("dev", Settings.from_files("dev"), secrets='{"NOBODYS": "x"}')


def test_a_configured_secret_reaches_every_process_and_shows_nowhere() -> None:
    found = programmed("dev", Settings.from_files("dev"), secrets='{"SENTRY_DSN": "https://hidden"}')
    for definition in of(found, "aws:ecs/taskDefinition:TaskDefinition"):
        for container in json.loads(plain(definition.inputs["containerDefinitions"])):
            names = {secret["name"] for secret in container["secrets"]}
            assert ("SENTRY_DSN" in names) == (container["name"] not in ("database", "connect"))  # the kit's own
    shown = [r for r in found if "https://hidden" in json.dumps(r.inputs)]
    assert [r.name for r in shown] == ["slipway-dev-configured"]
    assert rpc.is_rpc_secret(shown[0].inputs["secretString"])


def test_another_major_version_of_postgres_is_let_through_for_once_by_its_setting() -> None:
    allowed = []
    for settings in (
        Settings.from_files("dev"),
        Settings.from_files("dev").model_copy(update={"database_major_upgrade": True}),
    ):
        (instance,) = of(programmed("dev", settings), "aws:rds/instance:Instance")
        allowed.append(instance.inputs["allowMajorVersionUpgrade"])
    assert allowed == [False, True]


def test_an_image_that_is_given_by_its_digest_is_deployed_and_not_built() -> None:
    digest = "sha256:" + "ab" * 32
    found = programmed("staging", Settings.from_files("staging").model_copy(update={"image_digest": digest}))
    built = {image.name.removeprefix("slipway-staging-") for image in of(found, "docker-build:index:Image")}
    assert built == {"database", "prometheus", "alertmanager", "exporter-database", "exporter-cache"}
    for definition in of(found, "aws:ecs/taskDefinition:TaskDefinition"):
        images = {each["name"]: each["image"] for each in json.loads(plain(definition.inputs["containerDefinitions"]))}
        of_the_app = {name: image for name, image in images.items() if name not in OF_THE_KIT}
        assert all(image.endswith(f"@{digest}") for image in of_the_app.values()), definition.name


def test_a_stack_has_the_pipelines_roles_that_its_settings_name() -> None:
    given = {"github_repository": "acme@1/shop@2", "promotes_to": "prod"}
    found = programmed("staging", Settings.from_files("staging").model_copy(update=given))
    subjects = {
        role.name: json.loads(plain(role.inputs["assumeRolePolicy"]))["Statement"][0]["Condition"]["StringEquals"]
        for role in of(found, "aws:iam/role:Role")
        if "AssumeRoleWithWebIdentity" in plain(role.inputs["assumeRolePolicy"])
    }
    issuer = "token.actions.githubusercontent.com:sub"
    assert {name: found[issuer] for name, found in subjects.items()} == {
        "slipway-staging-pipeline": "repo:acme@1/shop@2:environment:staging",
        "slipway-staging-drift": "repo:acme@1/shop@2:environment:drift-staging",
        "slipway-staging-promote": "repo:acme@1/shop@2:environment:prod",
    }

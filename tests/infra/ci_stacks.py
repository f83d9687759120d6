"""The environments of the stack files with optional parts on and off, and a preview, with ARNs as AWS makes them."""

from __future__ import annotations

import json
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pulumi

from slipway.config.settings import ExistingVpc, Settings
from slipway.previews.preview_stacks import build_preview_config
from tests.infra import facts, recorder
from tests.infra.program import APP_FILE, programmed
from tests.infra.recorder import Registered, of

REGION, ACCOUNT = "eu-central-1", "123456789012"
HERE = f"{REGION}:{ACCOUNT}"
SUFFIX = "1a2b3c4"
"""As Pulumi's automatic names end."""
ARNS = {
    "aws:cloudfront/distribution:Distribution": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E{SUFFIX}",
    "aws:cloudwatch/logGroup:LogGroup": f"arn:aws:logs:{HERE}:log-group:{{name}}-{SUFFIX}",
    "aws:ecr/repository:Repository": f"arn:aws:ecr:{HERE}:repository/{{name}}-{SUFFIX}",
    "aws:ecs/service:Service": f"arn:aws:ecs:{HERE}:service/main/{{name}}-{SUFFIX}",
    "aws:ecs/taskDefinition:TaskDefinition": f"arn:aws:ecs:{HERE}:task-definition/{{family}}:1",
    "aws:iam/role:Role": f"arn:aws:iam::{ACCOUNT}:role/{{name}}-{SUFFIX}",
    "aws:kms/key:Key": f"arn:aws:kms:{HERE}:key/{{name}}",
    "aws:lb/listener:Listener": facts.PREVIEWS.listener_arn,
    "aws:lb/listenerRule:ListenerRule": f"arn:aws:elasticloadbalancing:{HERE}:listener-rule/app/lb/1/2/{SUFFIX}",
    "aws:lb/targetGroup:TargetGroup": f"arn:aws:elasticloadbalancing:{HERE}:targetgroup/{{name}}-{SUFFIX}/3",
    "aws:scheduler/schedule:Schedule": f"arn:aws:scheduler:{HERE}:schedule/default/{{name}}-{SUFFIX}",
    "aws:secretsmanager/secret:Secret": f"arn:aws:secretsmanager:{HERE}:secret:{{name}}-{SUFFIX}-AbCdEf",
}
"""ARNs as AWS makes them, of what the roles' policies bound; `{name}` is the resource's."""
SUBNETS = {f"subnet-{ring}{zone}": zone for ring in "012" for zone in "ab"}
EXISTING_VPC = ExistingVpc.model_validate(
    {"id": "vpc-1", **{f"{ring}Subnets": [f"subnet-{n}a", f"subnet-{n}b"] for n, ring in enumerate(
        ("public", "private", "isolated"))}}
)  # fmt: skip
COMMON = {"github_repository": "acme/shop", "state_bucket": "state", "alarm_email": "ops@acme.test"}
ON = {
    "domain": "api.acme.test", "hosted_zone_id": "Z1", "monitoring": True, "grafana": True, "tracing": True,
    "managed_prometheus": True, "previews": True, "preview_data": "template", "preview_domain": "preview.acme.test",
    "backup_copy_region": "us-west-2", "database_backup_days": 7, "waf": True, "interface_endpoints": True,
    "promotes_to": "next", "promotes_from": "former", "flow_logs": True, "monthly_budget_usd": 100,
    "state_key": f"arn:aws:kms:{HERE}:key/state", "deploy_profile": "safe", "container_insights": True,
    "public_tasks": False,
}  # fmt: skip
OFF = {
    "domain": "", "hosted_zone_id": "", "monitoring": False, "grafana": False, "tracing": False, "previews": False,
    "managed_prometheus": False, "preview_domain": "", "waf": False, "existing_vpc": EXISTING_VPC, "tier": "dev",
    "backup_copy_region": "", "interface_endpoints": False, "monthly_budget_usd": 0, "github_provider": False,
    "public_tasks": False,
}  # fmt: skip
CDN = ON | {"cdn": True, "previews": False, "preview_data": "empty", "preview_domain": ""}
VARIANTS = {"on": ON, "off": OFF, "cdn": CDN}
IGNORED = ("slipway:", "pulumi:pulumi:", "pulumi:providers:")
"""Types that are no resources of a provider."""


class Mocks(recorder.Mocks):
    """With ARNs as AWS makes them, and a note of each invoke."""

    invokes: ClassVar[set[str]]

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        id, outputs = super().new_resource(args)
        if args.typ in ARNS:
            outputs["arn"] = arn_of(args.typ, args.name, dict(args.inputs))
            outputs["arnWithoutRevision"] = outputs["arn"].rpartition(":")[0]
            id = outputs["arn"] if args.typ in ("aws:ecs/service:Service", "aws:secretsmanager/secret:Secret") else id
        if args.typ == "pulumi:pulumi:StackReference":
            base = outputs["outputs"]["foundation"]
            for role in ("execution", "task"):
                base["previews"][f"{role}_role_arn"] = arn_of("aws:iam/role:Role", f"slipway-dev-previews-{role}", {})
        return id, outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        self.invokes.add(args.token)
        if args.token == "aws:ec2/getSubnet:getSubnet":  # noqa: S105 - Pulumi's word for a function's name
            zone = SUBNETS[args.args["id"]]
            return {"id": args.args["id"], "vpcId": "vpc-1", "availabilityZone": zone, "cidrBlock": "10.0.0.0/24"}
        return super().call(args)


def arn_of(type_token: str, name: str, inputs: dict[str, Any]) -> str:
    """The ARN of a resource; of a type that no policy bounds, one that only `*` matches."""
    pattern = ARNS.get(type_token, f"arn:aws:mock:::{type_token}/{{name}}")
    return pattern.format(name=inputs.get("name") or name, family=inputs.get("family"))


@cache
def recorded(stack: str, variant: str) -> tuple[list[Registered], set[str]]:
    """The resources and invokes of an environment with the settings of a variant."""
    settings = Settings.from_files(stack).model_copy(update=COMMON | VARIANTS[variant])
    return _record(stack, settings)


@cache
def recorded_preview() -> tuple[list[Registered], set[str]]:
    own = {"kind": "preview", "base": "dev"}
    config = build_preview_config("dev", own)
    values = {key.removeprefix("slipway:"): value for key, value in config.items()}
    defaults = Settings.from_files("preview").model_dump(by_alias=True)
    given = {key: value for key, value in values.items() if ":" not in key}
    return _record("pr-42", Settings.load(defaults | given, "a preview"))


def _record(stack: str, settings: Settings) -> tuple[list[Registered], set[str]]:
    """With the tests' app, which here also fills a template for previews' databases."""

    class Noted(Mocks):
        invokes: ClassVar[set[str]] = set()

    with tempfile.TemporaryDirectory() as folder, patch.object(recorder, "Mocks", Noted):
        file = Path(folder) / "app.yaml"
        file.write_text(f"{APP_FILE.read_text()}\npreviewSeed: seed\n")
        return programmed(stack, settings, file), Noted.invokes


def resources(stack: str, variant: str) -> list[Registered]:
    made, _ = recorded(stack, variant)
    return [each for each in made if not each.type.startswith(IGNORED)]


def statements(made: list[Registered], role: str) -> list[dict[str, Any]]:
    """The statements of all inline policies of a role."""
    named = re.compile(rf"{role}(-[0-9a-f]{{6}})?")  # a task role's policy has its content's hash in its name
    policies = [each for each in of(made, "aws:iam/rolePolicy:RolePolicy") if named.fullmatch(each.name)]
    assert policies, f"there is no role {role}"
    return [each for policy in policies for each in json.loads(policy.inputs["policy"])["Statement"]]

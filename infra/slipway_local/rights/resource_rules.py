"""Names the resources of calls that the reference's ARN templates do not give: service by service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from slipway_local.rights.compute_resources import ec2_resources, ecs_resources
from slipway_local.rights.iam_data import Action
from slipway_local.rights.resources import Place, named_values, resources_of, texts

Params = Mapping[str, Any]
Rule = Callable[[Action, Params, Place], list[str]]

UNKNOWN_SUFFIX = "-??????"
"""Stands for the six characters that Secrets Manager puts behind the name of a secret that is not made yet."""


def call_resources(action: Action, params: Params, place: Place) -> list[str]:
    """Returns the ARNs that have to be allowed for an action of a call."""
    prefix = action.name.partition(":")[0]
    rule = _RULES.get(prefix)
    has_resource = action.resource_types or action.name == "logs:DescribeLogGroups"
    return rule(action, params, place) if rule and has_resource else resources_of(action, params, place)


def _iam(action: Action, params: Params, place: Place) -> list[str]:
    base = f"arn:aws:iam::{place.account}:"
    path = str(params.get("Path") or "/").strip("/")
    kinds = {each.name for each in action.resource_types}
    for kind, name in (("instance-profile", "InstanceProfileName"), ("role", "RoleName"), ("user", "UserName")):
        if kind in kinds and params.get(name):
            found = None
            if kind == "role":
                found = place.state.role(place.account, params[name])
            elif kind == "user":
                found = place.state.user(place.account, params[name])
            return [found.arn if found else f"{base}{kind}/" + "/".join(filter(None, (path, params[name])))]
    if action.name == "iam:CreateServiceLinkedRole":
        return [f"{base}role/aws-service-role/{params.get('AWSServiceName', '*')}/*"]
    if action.name == "iam:CreateOpenIDConnectProvider":
        return [f"{base}oidc-provider/{str(params.get('Url', '*')).partition('://')[2]}"]
    if action.name == "iam:CreatePolicy":
        return [f"{base}policy/" + "/".join(filter(None, (path, params.get("PolicyName", "*"))))]
    for kind, name in (("group", "GroupName"), ("user", "UserName")):
        if kind in kinds and params.get(name):
            return [f"{base}{kind}/{params[name]}"]
    if "user" in kinds and not any("Arn" in name for name in params):
        return [f"{base}user/*"]
    return resources_of(action, params, place)


def _kms(action: Action, params: Params, place: Place) -> list[str]:
    arns: list[str] = []
    alias = params.get("AliasName")
    if alias and any(each.name == "alias" for each in action.resource_types):
        arns.append(f"arn:aws:kms:{place.region}:{place.account}:{alias}")
    is_destination = action.name == "kms:ReEncryptTo"
    names = ("DestinationKeyId",) if is_destination else ("KeyId", "SourceKeyId", "TargetKeyId")
    key = next((str(params[name]) for name in names if params.get(name)), "")
    if not key and "CiphertextBlob" in params:
        key = "ciphertext:" + str(params["CiphertextBlob"])
    if key:
        fallback = key if key.startswith("arn:") else f"arn:aws:kms:{place.region}:{place.account}:key/{key}"
        if key.startswith("ciphertext:"):
            fallback = f"arn:aws:kms:{place.region}:{place.account}:key/*"
        arns.append(place.state.key_arn(place.account, place.region, key) or fallback)
    elif alias and action.name in ("kms:DeleteAlias", "kms:UpdateAlias"):
        old = place.state.key_arn(place.account, place.region, str(alias))
        arns += [old] if old else []
    return arns or resources_of(action, params, place)


def _secrets(action: Action, params: Params, place: Place) -> list[str]:
    base = f"arn:aws:secretsmanager:{place.region}:{place.account}:secret:"
    if action.name == "secretsmanager:CreateSecret":
        return [f"{base}{params.get('Name', '*')}{UNKNOWN_SUFFIX}"]
    wanted = params.get("SecretIdList") or [params.get("SecretId", "*")]
    arns = []
    for each in wanted:
        arn = place.state.secret_arn(place.account, place.region, each)
        arns.append(arn or (each if each.startswith("arn:") else f"{base}{each}{UNKNOWN_SUFFIX}"))
    return arns


def _logs(action: Action, params: Params, place: Place) -> list[str]:
    """Names log groups as IAM sees them: with `:log-stream:` behind them, but for the tagging operations.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    """
    if action.name in ("logs:TagResource", "logs:UntagResource", "logs:ListTagsForResource"):
        return [str(params.get("resourceArn", "*")).removesuffix(":*")]
    base = f"arn:aws:logs:{place.region}:{place.account}:log-group:"
    if action.name == "logs:DescribeLogGroups":
        return [f"{base}:log-stream:"]
    if not any(each.name in ("log-group", "log-stream") for each in action.resource_types):
        return resources_of(action, params, place)
    groups = [str(each) for name in ("logGroupName", "logGroupIdentifier") if (each := params.get(name))]
    groups += [str(each) for name in ("logGroupNames", "logGroupIdentifiers") for each in params.get(name) or ()]
    stream = str(params.get("logStreamName") or "")
    arns = [each.removesuffix(":*") if each.startswith("arn:") else base + each for each in groups or ["*"]]
    return [f"{arn}:log-stream:{stream}" for arn in arns]


def _balancers(action: Action, params: Params, place: Place) -> list[str]:
    base = f"arn:aws:elasticloadbalancing:{place.region}:{place.account}:"
    if action.name.endswith(":CreateLoadBalancer"):
        kind = {"network": "net", "gateway": "gwy"}.get(str(params.get("Type")), "app")
        return [f"{base}loadbalancer/{kind}/{params.get('Name', '*')}/*"]
    if action.name.endswith(":CreateTargetGroup"):
        return [f"{base}targetgroup/{params.get('Name', '*')}/*"]
    of_call = {
        name: value for name, value in params.items() if name not in ("DefaultActions", "Actions", "Certificates")
    }
    return resources_of(action, of_call, place)


def _s3(action: Action, params: Params, place: Place) -> list[str]:
    kinds = {each.name for each in action.resource_types}
    bucket = str(params.get("Bucket", "*"))
    if bucket.startswith("arn:"):
        return [f"{bucket}/object/{params['Key']}" if params.get("Key") else bucket]
    if "object" not in kinds:
        return [f"arn:aws:s3:::{bucket}"] if "bucket" in kinds else resources_of(action, params, place)
    objects = (params.get("Delete") or {}).get("Objects")
    keys = [str(each.get("Key", "*")) for each in objects] if objects else [str(params.get("Key", "*"))]
    return [f"arn:aws:s3:::{bucket}/{key}" for key in keys]


def copy_source(params: Params) -> str | None:
    """Returns the ARN of the object that a copy reads, or None."""
    source = params.get("CopySource")
    if not isinstance(source, str) or not source:
        return None
    return "arn:aws:s3:::" + unquote(source.partition("?")[0]).lstrip("/")


def _ssm(action: Action, params: Params, place: Place) -> list[str]:
    names = (
        named_values(params, ("Names", "Name", "Path"))
        if any(t.name == "parameter" for t in action.resource_types)
        else []
    )
    base = f"arn:aws:ssm:{place.region}:{place.account}:parameter/"
    target = str(params.get("Target", ""))
    if target.startswith("ecs:"):
        cluster, _, rest = target.removeprefix("ecs:").partition("_")
        task = f"arn:aws:ecs:{place.region}:{place.account}:task/{cluster}/{rest.partition('_')[0]}"
        return [task, *resources_of(action, params, place)]
    return [base + each.strip("/") for each in names] or resources_of(action, params, place)


def _events(action: Action, params: Params, place: Place) -> list[str]:
    base = f"arn:aws:events:{place.region}:{place.account}:"
    if action.name == "events:PutEvents":
        buses = {str(each.get("EventBusName") or "default") for each in params.get("Entries") or ()}
        return [each if each.startswith("arn:") else f"{base}event-bus/{each}" for each in sorted(buses)] or ["*"]
    if not any(each.name.startswith("rule-") for each in action.resource_types) or "ResourceARN" in params:
        return resources_of(action, params, place)
    bus = str(params.get("EventBusName") or "default").rpartition("/")[2]
    name = params.get("Rule") or params.get("Name") or "*"
    return [f"{base}rule/{name}" if bus == "default" else f"{base}rule/{bus}/{name}"]


def _scheduler(action: Action, params: Params, place: Place) -> list[str]:
    of_call = {name: value for name, value in params.items() if name != "Target"}
    if action.name.endswith("ScheduleGroup"):
        return resources_of(action, {"GroupName": of_call.get("Name", "*")}, place)
    return resources_of(action, {"GroupName": "default", **of_call}, place)


def _application_autoscaling(action: Action, params: Params, place: Place) -> list[str]:
    explicit = params.get("ResourceARN")
    return [explicit or f"arn:aws:application-autoscaling:{place.region}:{place.account}:scalable-target/*"]


def _lambda(action: Action, params: Params, place: Place) -> list[str]:
    name = str(params.get("FunctionName") or "")
    if name and any(each.name == "function" for each in action.resource_types):
        parts = [part for part in name.split(":") if part]
        base = f"arn:aws:lambda:{place.region}:{place.account}:function:"
        arn = name if name.startswith("arn:") else base + parts[-1 if ":function:" in name else 0]
        qualifier = params.get("Qualifier")
        return [f"{arn}:{qualifier}" if qualifier and action.name == "lambda:InvokeFunction" else arn]
    return resources_of(action, {name: value for name, value in params.items() if name != "Role"}, place)


def _route53(action: Action, params: Params, place: Place) -> list[str]:
    plain = {name: value.rpartition("/")[2] if isinstance(value, str) else value for name, value in params.items()}
    plain = {"Id" if name == "HostedZoneId" else name: value for name, value in plain.items()}
    kinds = {each.name for each in action.resource_types}
    zone = texts(plain.get("Id"))
    if params.get("ResourceType") and params.get("ResourceId"):
        return [f"arn:aws:route53:::{params['ResourceType']}/{params['ResourceId']}"]
    if "hostedzone" in kinds and zone:
        return [f"arn:aws:route53:::hostedzone/{zone[0]}"]
    return resources_of(action, plain, place)


def _sns(action: Action, params: Params, place: Place) -> list[str]:
    subscription = str(params.get("SubscriptionArn") or "")
    topic = ":".join(subscription.split(":")[:6])
    return [topic] if subscription.startswith("arn:") else resources_of(action, params, place)


def _sqs(action: Action, params: Params, place: Place) -> list[str]:
    """Names a queue; its URL says whose it is: `http://host/111122223333/jobs`."""
    parts = str(params.get("QueueUrl") or "").rstrip("/").split("/")
    owner = parts[-2] if len(parts) > 1 and parts[-2].isdigit() else place.account
    name = params.get("QueueName") or parts[-1]
    owner = str(params.get("QueueOwnerAWSAccountId") or owner)
    return [f"arn:aws:sqs:{place.region}:{owner}:{name}"] if name else resources_of(action, params, place)


def _budgets(action: Action, params: Params, place: Place) -> list[str]:
    budget = params.get("BudgetName") or (params.get("Budget") or params.get("NewBudget") or {}).get("BudgetName")
    explicit = params.get("ResourceARN")
    return [explicit or f"arn:aws:budgets::{place.account}:budget/{budget or '*'}"]


def _wafv2(action: Action, params: Params, place: Place) -> list[str]:
    scope = "global" if params.get("Scope") == "CLOUDFRONT" else "regional"
    arns = resources_of(action, {**params, "Scope": scope}, place)
    return [arn.replace(":*/", f":{scope}/", 1) for arn in arns]


_RULES: dict[str, Rule] = {
    "application-autoscaling": _application_autoscaling,
    "budgets": _budgets,
    "ec2": ec2_resources,
    "ecs": ecs_resources,
    "elasticloadbalancing": _balancers,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "route53": _route53,
    "s3": _s3,
    "scheduler": _scheduler,
    "secretsmanager": _secrets,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "wafv2": _wafv2,
}

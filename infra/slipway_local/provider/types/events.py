"""EventBridge: rules on the default bus, and their targets."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)

_FIELDS = {"description": "Description", "eventPattern": "EventPattern", "state": "State"}


class EventRuleResource(ResourceType):
    type_name = "aws:cloudwatch/eventRule:EventRule"
    inputs = property_names("name tags tagsAll", *_FIELDS)
    force_replacement = property_names("name")
    name_property = ("name", 64)
    defaults: ClassVar = {"state": "ENABLED"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        arn = self._put(aws, inputs, Tags=tag_list(inputs))
        return inputs["name"], {"arn": arn}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        with suppress(aws("events").exceptions.ResourceNotFoundException):
            resource = aws("events").describe_rule(Name=id)
            tags = tag_map(aws("events").list_tags_for_resource(ResourceARN=resource["Arn"])["Tags"])
            values = {key: resource.get(name) or None for key, name in _FIELDS.items()}
            return values | {"name": id, "arn": resource["Arn"], "tags": tags, "tagsAll": tags}
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        arn = self._put(aws, new)
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            aws("events").untag_resource(ResourceARN=arn, TagKeys=gone)
        if new.get("tagsAll"):
            aws("events").tag_resource(ResourceARN=arn, Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("events").delete_rule(Name=id)

    def _put(self, aws: ProviderContext, inputs: Properties, **more: object) -> str:
        values = {name: inputs[key] for key, name in _FIELDS.items() if inputs.get(key)}
        return str(aws("events").put_rule(Name=inputs["name"], **values, **more)["RuleArn"])


class EventTargetResource(ResourceType):
    type_name = "aws:cloudwatch/eventTarget:EventTarget"
    inputs = property_names("rule targetId arn inputTransformer")
    force_replacement = property_names("rule targetId")
    name_property = ("targetId", 64)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        self._put(aws, inputs)
        return f"{inputs['rule']}-{inputs['targetId']}", {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        rule = state.get("rule", "")
        with suppress(aws("events").exceptions.ResourceNotFoundException):
            for resource in aws("events").list_targets_by_rule(Rule=rule)["Targets"]:
                if id == f"{rule}-{resource['Id']}":
                    transformer = resource.get("InputTransformer")
                    return {
                        "rule": rule,
                        "targetId": resource["Id"],
                        "arn": resource["Arn"],
                        "inputTransformer": _input_transformer_to_pulumi(transformer) if transformer else None,
                    }
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self._put(aws, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("events").remove_targets(Rule=state["rule"], Ids=[state["targetId"]])

    def _put(self, aws: ProviderContext, inputs: Properties) -> None:
        target = {"Id": inputs["targetId"], "Arn": inputs["arn"]}
        if inputs.get("inputTransformer"):
            transformer = inputs["inputTransformer"]
            target["InputTransformer"] = {
                "InputPathsMap": transformer.get("inputPaths") or {},
                "InputTemplate": transformer["inputTemplate"],
            }
        aws("events").put_targets(Rule=inputs["rule"], Targets=[target])


def _input_transformer_to_pulumi(transformer: Properties) -> Properties:
    return {"inputPaths": transformer.get("InputPathsMap") or {}, "inputTemplate": transformer["InputTemplate"]}

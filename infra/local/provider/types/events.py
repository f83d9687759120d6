"""EventBridge: rules on the default bus, and their targets."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map

_FIELDS = {"description": "Description", "eventPattern": "EventPattern", "state": "State"}


class EventRule(Kind):
    type_name = "aws:cloudwatch/eventRule:EventRule"
    inputs = set_of("name tags tagsAll", *_FIELDS)
    replace = set_of("name")
    named = ("name", 64)
    defaults: ClassVar = {"state": "ENABLED"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        arn = self._put(aws, given, Tags=tag_list(given))
        return given["name"], {"arn": arn}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        with suppress(aws("events").exceptions.ResourceNotFoundException):
            found = aws("events").describe_rule(Name=id)
            tags = tag_map(aws("events").list_tags_for_resource(ResourceARN=found["Arn"])["Tags"])
            values = {key: found.get(name) or None for key, name in _FIELDS.items()}
            return values | {"name": id, "arn": found["Arn"], "tags": tags, "tagsAll": tags}
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        arn = self._put(aws, new)
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            aws("events").untag_resource(ResourceARN=arn, TagKeys=gone)
        if new.get("tagsAll"):
            aws("events").tag_resource(ResourceARN=arn, Tags=tag_list(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("events").delete_rule(Name=id)

    def _put(self, aws: Context, given: Properties, **more: object) -> str:
        values = {name: given[key] for key, name in _FIELDS.items() if given.get(key)}
        return str(aws("events").put_rule(Name=given["name"], **values, **more)["RuleArn"])


class EventTarget(Kind):
    type_name = "aws:cloudwatch/eventTarget:EventTarget"
    inputs = set_of("rule targetId arn inputTransformer")
    replace = set_of("rule targetId")
    named = ("targetId", 64)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        self._put(aws, given)
        return f"{given['rule']}-{given['targetId']}", {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        rule = known.get("rule", "")
        with suppress(aws("events").exceptions.ResourceNotFoundException):
            for found in aws("events").list_targets_by_rule(Rule=rule)["Targets"]:
                if id == f"{rule}-{found['Id']}":
                    transformer = found.get("InputTransformer")
                    return {
                        "rule": rule,
                        "targetId": found["Id"],
                        "arn": found["Arn"],
                        "inputTransformer": _as_property(transformer) if transformer else None,
                    }
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self._put(aws, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("events").remove_targets(Rule=known["rule"], Ids=[known["targetId"]])

    def _put(self, aws: Context, given: Properties) -> None:
        target = {"Id": given["targetId"], "Arn": given["arn"]}
        if given.get("inputTransformer"):
            transformer = given["inputTransformer"]
            target["InputTransformer"] = {
                "InputPathsMap": transformer.get("inputPaths") or {},
                "InputTemplate": transformer["inputTemplate"],
            }
        aws("events").put_targets(Rule=given["rule"], Targets=[target])


def _as_property(transformer: Properties) -> Properties:
    return {"inputPaths": transformer.get("InputPathsMap") or {}, "inputTemplate": transformer["InputTemplate"]}

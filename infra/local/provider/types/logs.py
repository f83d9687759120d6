"""CloudWatch Logs."""

from __future__ import annotations

from infra.local.provider.kind import Context, Kind, Properties, set_of


class LogGroup(Kind):
    type_name = "aws:cloudwatch/logGroup:LogGroup"
    inputs = set_of("name retentionInDays kmsKeyId skipDestroy tags tagsAll")
    replace = set_of("name")
    named = ("name", 512)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name = given["name"]
        key = {"kmsKeyId": given["kmsKeyId"]} if given.get("kmsKeyId") else {}
        aws("logs").create_log_group(logGroupName=name, tags=given.get("tagsAll") or {}, **key)
        self._retention(aws, name, given)
        return name, {"arn": self._arn(aws, name)}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        groups = aws("logs").describe_log_groups(logGroupNamePrefix=id)["logGroups"]
        found = next((group for group in groups if group["logGroupName"] == id), None)
        if found is None:
            return None
        tags = aws("logs").list_tags_log_group(logGroupName=id)["tags"]
        return {
            "name": id,
            "arn": self._arn(aws, id),
            "retentionInDays": found.get("retentionInDays"),
            "kmsKeyId": found.get("kmsKeyId"),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self._retention(aws, id, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        if not known.get("skipDestroy"):
            aws("logs").delete_log_group(logGroupName=id)

    def _retention(self, aws: Context, name: str, given: Properties) -> None:
        if given.get("retentionInDays"):
            aws("logs").put_retention_policy(logGroupName=name, retentionInDays=given["retentionInDays"])
        else:
            aws("logs").delete_retention_policy(logGroupName=name)

    def _arn(self, aws: Context, name: str) -> str:
        return f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{name}"

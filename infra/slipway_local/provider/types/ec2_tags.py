"""Tags and ARNs of EC2's resources."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.resource_type import Properties, ProviderContext, tag_list, tag_map


def create_tags(aws: ProviderContext, id: str, inputs: Properties) -> None:
    """Tags a new resource with all its tags."""
    if tag_list(inputs):
        aws("ec2").create_tags(Resources=[id], Tags=tag_list(inputs))


def update_tags(aws: ProviderContext, id: str, old: Properties, new: Properties) -> None:
    """Bring the tags of a resource from `old` to `new`."""
    before = old.get("tagsAll") or {}
    after = new.get("tagsAll") or {}
    gone = [{"Key": key} for key in before if key not in after]
    if gone:
        aws("ec2").delete_tags(Resources=[id], Tags=gone)
    create_tags(aws, id, new)


def read_tags(resource: Any) -> Properties:
    """Returns the tags of a resource that EC2 has described, as two outputs."""
    tags = tag_map(resource.get("Tags"))
    return {"tags": tags, "tagsAll": tags}


def ec2_arn(aws: ProviderContext, kind: str, id: str) -> str:
    """Returns the ARN of a resource of EC2; `kind`: its type in the ARN, such as `route-table`."""
    return f"arn:aws:ec2:{aws.region}:{aws.account}:{kind}/{id}"

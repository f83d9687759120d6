"""Route 53: the records of a hosted zone."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names


class Route53RecordResource(ResourceType):
    """Its id is zone, name and type, as one text. A name outside the zone is one within it, as AWS has it."""

    type_name = "aws:route53/record:Record"
    inputs = property_names("zoneId name type ttl records aliases allowOverwrite")
    force_replacement = property_names("zoneId name type")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        zone = inputs["zoneId"]
        name = inputs["name"].lower().rstrip(".")
        kind = inputs["type"]
        full = _full_name(aws, zone, name)
        _change(aws, zone, "UPSERT" if inputs.get("allowOverwrite") else "CREATE", _record_set(full, inputs))
        return f"{zone}_{name}_{kind}", {"fqdn": full}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        zone, name, kind = _parts(id)
        resource = _find(aws, id)
        alias = resource and resource.get("AliasTarget")
        return resource and {
            "fqdn": resource["Name"].rstrip("."),
            "zoneId": zone,
            "name": state.get("name", name),  # as written: short, or with a dot at its end
            "type": kind,
            "ttl": resource.get("TTL"),
            "records": [_unquoted(kind, record["Value"]) for record in resource.get("ResourceRecords", [])],
            "aliases": alias
            and [
                {
                    "name": alias["DNSName"].rstrip("."),
                    "zoneId": alias["HostedZoneId"],
                    "evaluateTargetHealth": alias["EvaluateTargetHealth"],
                }
            ],
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        zone, name, _ = _parts(id)
        _change(aws, zone, "UPSERT", _record_set(_full_name(aws, zone, name), new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        resource = _find(aws, id)
        if resource:  # as it is: AWS deletes only what is described exactly
            _change(aws, _parts(id)[0], "DELETE", resource)


def _parts(id: str) -> tuple[str, str, str]:
    zone, _, rest = id.partition("_")
    name, _, kind = rest.rpartition("_")
    return zone, name, kind


def _full_name(aws: ProviderContext, zone: str, name: str) -> str:
    domain = aws("route53").get_hosted_zone(Id=zone)["HostedZone"]["Name"].rstrip(".")
    return name if name == domain or name.endswith(f".{domain}") else f"{name}.{domain}"


def _find(aws: ProviderContext, id: str) -> Any:
    zone, name, kind = _parts(id)
    try:
        full = f"{_full_name(aws, zone, name)}."
        records = aws("route53").list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=full, StartRecordType=kind, MaxItems="1"
        )["ResourceRecordSets"]
    except aws("route53").exceptions.NoSuchHostedZone:
        return None
    return next((record for record in records if (record["Name"], record["Type"]) == (full, kind)), None)


def _change(aws: ProviderContext, zone: str, action: str, record_set: Any) -> None:
    changes = [{"Action": action, "ResourceRecordSet": record_set}]
    aws("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def _record_set(full_name: str, inputs: Properties) -> dict[str, Any]:
    resource: dict[str, Any] = {"Name": full_name, "Type": inputs["type"]}
    if inputs.get("aliases"):
        alias = inputs["aliases"][0]
        resource["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    if inputs.get("records"):
        resource["ResourceRecords"] = [{"Value": _quoted(inputs["type"], value)} for value in inputs["records"]]
        resource["TTL"] = inputs["ttl"]
    return resource


def _quoted(kind: str, value: str) -> str:
    """AWS wants a text in quotation marks; programs write it without."""
    return f'"{value}"' if kind in ("TXT", "SPF") else value


def _unquoted(kind: str, value: str) -> str:
    return value[1:-1] if kind in ("TXT", "SPF") else value

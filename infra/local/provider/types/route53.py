"""Route 53: the records of a hosted zone."""

from __future__ import annotations

from typing import Any

from infra.local.provider.kind import Context, Kind, Properties, set_of


class Record(Kind):
    """Its id is zone, name and type, as one text. A name outside the zone is one within it, as AWS has it."""

    type_name = "aws:route53/record:Record"
    inputs = set_of("zoneId name type ttl records aliases allowOverwrite")
    replace = set_of("zoneId name type")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        zone, name, kind = given["zoneId"], given["name"].lower().rstrip("."), given["type"]
        full = _full_name(aws, zone, name)
        _change(aws, zone, "UPSERT" if given.get("allowOverwrite") else "CREATE", _record_set(full, given))
        return f"{zone}_{name}_{kind}", {"fqdn": full}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        zone, name, kind = _parts(id)
        found = _find(aws, id)
        alias = found and found.get("AliasTarget")
        return found and {
            "fqdn": found["Name"].rstrip("."),
            "zoneId": zone,
            "name": known.get("name", name),  # as written: short, or with a dot at its end
            "type": kind,
            "ttl": found.get("TTL"),
            "records": [_unquoted(kind, record["Value"]) for record in found.get("ResourceRecords", [])],
            "aliases": alias
            and [
                {
                    "name": alias["DNSName"].rstrip("."),
                    "zoneId": alias["HostedZoneId"],
                    "evaluateTargetHealth": alias["EvaluateTargetHealth"],
                }
            ],
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        zone, name, _ = _parts(id)
        _change(aws, zone, "UPSERT", _record_set(_full_name(aws, zone, name), new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        found = _find(aws, id)
        if found:  # as it is: AWS deletes only what is described exactly
            _change(aws, _parts(id)[0], "DELETE", found)


def _parts(id: str) -> tuple[str, str, str]:
    zone, _, rest = id.partition("_")
    name, _, kind = rest.rpartition("_")
    return zone, name, kind


def _full_name(aws: Context, zone: str, name: str) -> str:
    domain = aws("route53").get_hosted_zone(Id=zone)["HostedZone"]["Name"].rstrip(".")
    return name if name == domain or name.endswith(f".{domain}") else f"{name}.{domain}"


def _find(aws: Context, id: str) -> Any:
    zone, name, kind = _parts(id)
    try:
        full = f"{_full_name(aws, zone, name)}."
        found = aws("route53").list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=full, StartRecordType=kind, MaxItems="1"
        )["ResourceRecordSets"]
    except aws("route53").exceptions.NoSuchHostedZone:
        return None
    return next((record for record in found if (record["Name"], record["Type"]) == (full, kind)), None)


def _change(aws: Context, zone: str, action: str, record_set: Any) -> None:
    changes = [{"Action": action, "ResourceRecordSet": record_set}]
    aws("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def _record_set(full_name: str, given: Properties) -> dict[str, Any]:
    found: dict[str, Any] = {"Name": full_name, "Type": given["type"]}
    if given.get("aliases"):
        alias = given["aliases"][0]
        found["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    if given.get("records"):
        found["ResourceRecords"] = [{"Value": _quoted(given["type"], value)} for value in given["records"]]
        found["TTL"] = given["ttl"]
    return found


def _quoted(kind: str, value: str) -> str:
    """AWS wants a text in quotation marks; programs write it without."""
    return f'"{value}"' if kind in ("TXT", "SPF") else value


def _unquoted(kind: str, value: str) -> str:
    return value[1:-1] if kind in ("TXT", "SPF") else value

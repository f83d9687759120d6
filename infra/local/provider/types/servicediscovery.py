"""Cloud Map. Nothing on this machine asks for its names: they live in the engine's state only."""

from __future__ import annotations

from hashlib import sha256

from infra.local.provider.kind import Context, Properties, StateOnly, set_of


class PrivateDnsNamespace(StateOnly):
    type_name = "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace"
    inputs = set_of("name vpc tags tagsAll")
    replace = set_of("name vpc")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = f"ns-{sha256(str(given['name']).encode()).hexdigest()[:16]}"
        arn = f"arn:aws:servicediscovery:{aws.region}:{aws.account}:namespace/{id}"
        return id, {"arn": arn, "hostedZone": f"Z{id[3:].upper()}"}


class Service(StateOnly):
    type_name = "aws:servicediscovery/service:Service"
    inputs = set_of("name dnsConfig forceDestroy tags tagsAll")
    replace = set_of("name")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = f"srv-{sha256(str(given).encode()).hexdigest()[:16]}"
        return id, {"arn": f"arn:aws:servicediscovery:{aws.region}:{aws.account}:service/{id}"}

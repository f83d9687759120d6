"""Cloud Map. Nothing on this machine asks for its names: they live in the engine's state only."""

from __future__ import annotations

from hashlib import sha256

from slipway_local.provider.resource_type import Properties, ProviderContext, StateOnlyResourceType, property_names


class PrivateDnsNamespaceResource(StateOnlyResourceType):
    type_name = "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace"
    inputs = property_names("name vpc tags tagsAll")
    force_replacement = property_names("name vpc")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = f"ns-{sha256(str(inputs['name']).encode()).hexdigest()[:16]}"
        arn = f"arn:aws:servicediscovery:{aws.region}:{aws.account}:namespace/{id}"
        return id, {"arn": arn, "hostedZone": f"Z{id[3:].upper()}"}


class ServiceDiscoveryServiceResource(StateOnlyResourceType):
    type_name = "aws:servicediscovery/service:Service"
    inputs = property_names("name dnsConfig forceDestroy tags tagsAll")
    force_replacement = property_names("name")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = f"srv-{sha256(str(inputs).encode()).hexdigest()[:16]}"
        return id, {"arn": f"arn:aws:servicediscovery:{aws.region}:{aws.account}:service/{id}"}

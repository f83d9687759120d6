"""Settings of the network, the domain and the web application firewall."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from slipway.config.setting_sections.base import SettingSection, SettingValue

DOMAIN_PATTERN = r"^(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})?$"
"""A domain name in small letters; empty for none."""


def _check_vpc_cidr(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"{error}; write it like 10.20.0.0/16") from error
    if not 16 <= network.prefixlen <= 20:
        raise ValueError("allowed are /16 to /20, so that the subnets are large enough")
    if not network.is_private:
        raise ValueError("allowed are private ranges: within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return value


def _check_cidr(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"{error}; write it like 10.8.0.0/16") from error


Cidr = Annotated[str, AfterValidator(_check_cidr)]


class ExistingVpc(SettingValue):
    """A VPC that exists already. The stack then creates no network."""

    id: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]+$")]
    """The VPC's id."""
    public_subnets: Annotated[list[str], Field(min_length=2)]
    """For the load balancer, in at least two zones."""
    private_subnets: Annotated[list[str], Field(min_length=2)]
    """For tasks; they reach AWS's services by a NAT gateway or by endpoints."""
    isolated_subnets: Annotated[list[str], Field(min_length=2)]
    """For data stores; they need no route to the internet."""


class NetworkSettings(SettingSection):
    """Network"""

    existing_vpc: Annotated[ExistingVpc | None, BeforeValidator(lambda value: value or None)] = None
    """A VPC that exists already: `{id: vpc-..., publicSubnets: [...], privateSubnets: [...], isolatedSubnets:
    [...]}`."""
    vpc_cidr: Annotated[str, AfterValidator(_check_vpc_cidr)] = "10.20.0.0/16"
    """The VPC's private IPv4 range, /16 to /20. It cannot change once the network exists."""
    zones: Annotated[int, Field(ge=2, le=3)] = 2
    """Number of availability zones."""
    nat_gateways: Literal["none", "one", "per-zone"] = "one"
    """NAT gateways, by which private subnets reach the internet."""
    interface_endpoints: bool = False
    """Whether tasks reach AWS's services by interface endpoints inside the VPC. Required where natGateways is none
    and publicTasks is false."""
    public_tasks: bool = False
    """Whether tasks run in the public subnets, each with a public IP address that its security group closes, so that
    they need no NAT gateway: cheap, for dev. Refused in prod."""
    flow_logs: bool = True
    """Whether rejected connections in the VPC are logged."""

    @model_validator(mode="after")
    def _check_route_to_aws(self) -> Self:
        if self.public_tasks and (self.nat_gateways != "none" or self.interface_endpoints or self.existing_vpc):
            raise ValueError(
                "publicTasks is true, so tasks reach the internet by their own addresses: natGateways has to be none, "
                "interfaceEndpoints false, and existingVpc unset. Set them so, or publicTasks to false"
            )
        has_route = self.interface_endpoints or self.existing_vpc or self.public_tasks
        if self.nat_gateways == "none" and not has_route:
            raise ValueError(
                "natGateways is none and interfaceEndpoints is false: tasks could neither pull their image nor read "
                "their secrets. Set interfaceEndpoints to true, or natGateways to one; or, not for prod, publicTasks "
                "to true"
            )
        return self


class DomainSettings(SettingSection):
    """Domain and firewall"""

    domain: Annotated[str, Field(pattern=DOMAIN_PATTERN, max_length=253)] = ""
    """The app's domain name, served with TLS, for example api.your-company.com. Empty: HTTP at the load balancer's
    own name."""
    hosted_zone_id: Annotated[str, Field(pattern=r"^([A-Z0-9]{1,32})?$")] = ""
    """The Route 53 hosted zone of domain and previewDomain: Z..."""
    external_dns: bool = False
    """Whether domain's DNS is elsewhere: there is no hostedZoneId, `up` prints the records that you create there and
    waits for them."""
    internal: bool = False
    """Whether the load balancer has private addresses only, for a VPN or other networks of yours. Without previews."""
    allowed_cidrs: Annotated[list[Cidr], Field(max_length=20)] = Field(default=[])
    """IPv4 ranges that may reach the load balancer. Empty: all addresses; where internal is true all private ones."""
    cdn: bool = False
    """Whether CloudFront is in front of the load balancer: it caches the app's staticPaths and nothing else. Requires
    domain and hostedZoneId."""
    waf: bool = True
    """Whether a web application firewall (AWS WAF) protects the load balancer; with cdn: the distribution."""
    waf_rate_limit: Annotated[int, Field(ge=100, le=2_000_000_000)] = 30_000
    """Requests that one IP address may make in five minutes. The default is ten times what the reference app allows
    one user."""
    waf_count_only: list[
        Literal[
            "rate",
            "AWSManagedRulesAmazonIpReputationList",
            "AWSManagedRulesCommonRuleSet",
            "AWSManagedRulesKnownBadInputsRuleSet",
            "AWSManagedRulesSQLiRuleSet",
        ]
    ] = Field(default=[])
    """Rules of the firewall that only count, while you check what they would block."""

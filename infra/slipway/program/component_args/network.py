"""Arguments of the network: the stack's own VPC, or an existing one."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from slipway.components.existing_vpc import ExistingVpcArgs
from slipway.components.vpc import VpcNetworkArgs
from slipway.components.vpc_endpoints import (
    GRAFANA_ENDPOINTS,
    MANAGED_PROMETHEUS_ENDPOINTS,
    MONITORING_ENDPOINTS,
    TASK_ENDPOINTS,
    TRACING_ENDPOINTS,
)
from slipway.config.settings import ExistingVpc, Settings


def vpc_network_args(
    settings: Settings,
    *,
    key_arn: pulumi.Input[str],
    elastic_ip_hooks: pulumi.ResourceHookBinding | None = None,
    vpc_hooks: pulumi.ResourceHookBinding | None = None,
) -> VpcNetworkArgs:
    """Returns the arguments of the stack's own VPC."""
    return VpcNetworkArgs(
        cidr=settings.vpc_cidr,
        zones=settings.zones,
        nat=settings.nat_gateways,
        public_tasks=settings.public_tasks,
        interface_endpoints=select_interface_endpoints(settings),
        flow_logs=settings.flow_logs,
        key_arn=key_arn,
        log_retention_days=settings.log_retention_days,
        elastic_ip_hooks=elastic_ip_hooks,
        vpc_hooks=vpc_hooks,
    )


def existing_vpc_args(existing_vpc: ExistingVpc) -> ExistingVpcArgs:
    """Returns the ids of the setting `existingVpc`."""
    return ExistingVpcArgs(
        vpc_id=existing_vpc.id,
        public_subnet_ids=existing_vpc.public_subnets,
        private_subnet_ids=existing_vpc.private_subnets,
        isolated_subnet_ids=existing_vpc.isolated_subnets,
    )


def select_interface_endpoints(settings: Settings) -> Sequence[str]:
    """Returns the AWS services with an interface endpoint; none without `interfaceEndpoints`."""
    if not settings.interface_endpoints:
        return ()
    return (
        *TASK_ENDPOINTS,
        *(MONITORING_ENDPOINTS if settings.monitoring else ()),
        *(MANAGED_PROMETHEUS_ENDPOINTS if settings.managed_prometheus else ()),
        *(GRAFANA_ENDPOINTS if settings.grafana else ()),
        *(TRACING_ENDPOINTS if settings.tracing else ()),
    )

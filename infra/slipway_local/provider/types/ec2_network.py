"""EC2: the VPC, its subnets, its ways out."""

from __future__ import annotations

from typing import ClassVar

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
)
from slipway_local.provider.types.ec2_tags import create_tags, ec2_arn, read_tags, update_tags


class VpcResource(ResourceType):
    type_name = "aws:ec2/vpc:Vpc"
    inputs = property_names("cidrBlock enableDnsHostnames enableDnsSupport tags tagsAll")
    force_replacement = property_names("cidrBlock")
    defaults: ClassVar = {"enableDnsSupport": True}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = aws("ec2").create_vpc(CidrBlock=inputs["cidrBlock"])["Vpc"]["VpcId"]
        self._attributes(aws, id, inputs)
        create_tags(aws, id, inputs)
        return id, self.read(aws, id, {}) or {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        ec2 = aws("ec2")
        resource = next((v for v in ec2.describe_vpcs()["Vpcs"] if v["VpcId"] == id), None)
        if resource is None:
            return None
        mine = [{"Name": "vpc-id", "Values": [id]}]
        groups = ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        tables = ec2.describe_route_tables(Filters=mine)["RouteTables"]
        names = ec2.describe_vpc_attribute(VpcId=id, Attribute="enableDnsHostnames")
        support = ec2.describe_vpc_attribute(VpcId=id, Attribute="enableDnsSupport")
        return {
            "arn": ec2_arn(aws, "vpc", id),
            "cidrBlock": resource["CidrBlock"],
            "enableDnsHostnames": names["EnableDnsHostnames"]["Value"],
            "enableDnsSupport": support["EnableDnsSupport"]["Value"],
            "defaultSecurityGroupId": next((g["GroupId"] for g in groups if g["GroupName"] == "default"), ""),
            "mainRouteTableId": next((t["RouteTableId"] for t in tables), ""),
            **read_tags(resource),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self._attributes(aws, id, new)
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_vpc(VpcId=id)

    def _attributes(self, aws: ProviderContext, id: str, inputs: Properties) -> None:
        support = bool(inputs.get("enableDnsSupport"))
        names = bool(inputs.get("enableDnsHostnames"))
        aws("ec2").modify_vpc_attribute(VpcId=id, EnableDnsSupport={"Value": support})
        aws("ec2").modify_vpc_attribute(VpcId=id, EnableDnsHostnames={"Value": names})


class InternetGatewayResource(ResourceType):
    type_name = "aws:ec2/internetGateway:InternetGateway"
    inputs = property_names("vpcId tags tagsAll")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = aws("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        aws("ec2").attach_internet_gateway(InternetGatewayId=id, VpcId=inputs["vpcId"])
        create_tags(aws, id, inputs)
        return id, {"arn": ec2_arn(aws, "internet-gateway", id)}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        gateways = aws("ec2").describe_internet_gateways()["InternetGateways"]
        resource = next((g for g in gateways if g["InternetGatewayId"] == id), None)
        if resource is None:
            return None
        vpc = resource["Attachments"][0]["VpcId"] if resource.get("Attachments") else ""
        return {"vpcId": vpc, "arn": ec2_arn(aws, "internet-gateway", id), **read_tags(resource)}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        if old["vpcId"] != new["vpcId"]:  # the official provider moves it to the other VPC
            aws("ec2").detach_internet_gateway(InternetGatewayId=id, VpcId=old["vpcId"])
            aws("ec2").attach_internet_gateway(InternetGatewayId=id, VpcId=new["vpcId"])
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        if state.get("vpcId"):
            aws("ec2").detach_internet_gateway(InternetGatewayId=id, VpcId=state["vpcId"])
        aws("ec2").delete_internet_gateway(InternetGatewayId=id)


class SubnetResource(ResourceType):
    type_name = "aws:ec2/subnet:Subnet"
    inputs = property_names("vpcId cidrBlock availabilityZone mapPublicIpOnLaunch tags tagsAll")
    force_replacement = property_names("vpcId cidrBlock availabilityZone")
    delete_before_replace = True  # its range is taken for as long as the old one is there

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        zone = {"AvailabilityZone": inputs["availabilityZone"]} if inputs.get("availabilityZone") else {}
        created = aws("ec2").create_subnet(VpcId=inputs["vpcId"], CidrBlock=inputs["cidrBlock"], **zone)
        id = created["Subnet"]["SubnetId"]
        self._attributes(aws, id, inputs)
        create_tags(aws, id, inputs)
        return id, {"arn": ec2_arn(aws, "subnet", id), "availabilityZone": created["Subnet"]["AvailabilityZone"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = next((s for s in aws("ec2").describe_subnets()["Subnets"] if s["SubnetId"] == id), None)
        return resource and {
            "arn": ec2_arn(aws, "subnet", id),
            "vpcId": resource["VpcId"],
            "cidrBlock": resource["CidrBlock"],
            "availabilityZone": resource["AvailabilityZone"],
            "mapPublicIpOnLaunch": resource.get("MapPublicIpOnLaunch", False),
            **read_tags(resource),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self._attributes(aws, id, new)
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_subnet(SubnetId=id)

    def _attributes(self, aws: ProviderContext, id: str, inputs: Properties) -> None:
        public = bool(inputs.get("mapPublicIpOnLaunch"))
        aws("ec2").modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch={"Value": public})


class EipResource(ResourceType):
    type_name = "aws:ec2/eip:Eip"
    inputs = property_names("domain tags tagsAll")
    force_replacement = property_names("domain")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("ec2").allocate_address(Domain=inputs.get("domain", "vpc"))
        create_tags(aws, created["AllocationId"], inputs)
        return created["AllocationId"], {"allocationId": created["AllocationId"], "publicIp": created["PublicIp"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        addresses = aws("ec2").describe_addresses()["Addresses"]
        resource = next((a for a in addresses if a["AllocationId"] == id), None)
        return resource and {
            "allocationId": id,
            "publicIp": resource["PublicIp"],
            "domain": "vpc",
            **read_tags(resource),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").release_address(AllocationId=id)


class NatGatewayResource(ResourceType):
    type_name = "aws:ec2/natGateway:NatGateway"
    inputs = property_names("allocationId subnetId tags tagsAll")
    force_replacement = property_names("allocationId subnetId")
    delete_before_replace = True  # an address belongs to one gateway

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("ec2").create_nat_gateway(SubnetId=inputs["subnetId"], AllocationId=inputs["allocationId"])
        id = created["NatGateway"]["NatGatewayId"]
        create_tags(aws, id, inputs)
        return id, {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        gateways = aws("ec2").describe_nat_gateways()["NatGateways"]
        resource = next((g for g in gateways if g["NatGatewayId"] == id and g["State"] != "deleted"), None)
        if resource is None:
            return None
        address = (resource.get("NatGatewayAddresses") or [{}])[0].get("AllocationId")
        return {"subnetId": resource["SubnetId"], "allocationId": address, **read_tags(resource)}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_nat_gateway(NatGatewayId=id)


class VpcEndpointResource(ResourceType):
    type_name = "aws:ec2/vpcEndpoint:VpcEndpoint"
    inputs = property_names(
        "vpcId serviceName vpcEndpointType routeTableIds subnetIds securityGroupIds privateDnsEnabled tags tagsAll"
    )
    force_replacement = property_names("vpcId serviceName vpcEndpointType")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        optional = {
            "RouteTableIds": inputs.get("routeTableIds"),
            "SubnetIds": inputs.get("subnetIds"),
            "SecurityGroupIds": inputs.get("securityGroupIds"),
            "PrivateDnsEnabled": inputs.get("privateDnsEnabled"),
        }
        created = aws("ec2").create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs.get("vpcEndpointType", "Gateway"),
            **{key: value for key, value in optional.items() if value is not None},
        )
        id = created["VpcEndpoint"]["VpcEndpointId"]
        create_tags(aws, id, inputs)
        return id, {"arn": ec2_arn(aws, "vpc-endpoint", id), "prefixListId": "pl-63a5400a", "state": "available"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        endpoints = aws("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        resource = next((e for e in endpoints if e["VpcEndpointId"] == id), None)
        return resource and {
            "vpcId": resource["VpcId"],
            "serviceName": resource["ServiceName"],
            "vpcEndpointType": resource["VpcEndpointType"],
            "routeTableIds": resource.get("RouteTableIds"),
            "subnetIds": resource.get("SubnetIds"),
            **read_tags(resource),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        for key, word in (("routeTableIds", "RouteTableIds"), ("subnetIds", "SubnetIds")):
            before = set(old.get(key) or [])
            after = set(new.get(key) or [])
            if after - before:
                aws("ec2").modify_vpc_endpoint(VpcEndpointId=id, **{f"Add{word}": sorted(after - before)})
            if before - after:
                aws("ec2").modify_vpc_endpoint(VpcEndpointId=id, **{f"Remove{word}": sorted(before - after)})
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[id])

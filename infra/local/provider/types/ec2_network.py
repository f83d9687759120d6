"""EC2: the VPC, its subnets, its ways out."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map


def _tag(aws: Context, id: str, given: Properties) -> None:
    if tag_list(given):
        aws("ec2").create_tags(Resources=[id], Tags=tag_list(given))


def _retag(aws: Context, id: str, old: Properties, new: Properties) -> None:
    before, after = old.get("tagsAll") or {}, new.get("tagsAll") or {}
    gone = [{"Key": key} for key in before if key not in after]
    if gone:
        aws("ec2").delete_tags(Resources=[id], Tags=gone)
    _tag(aws, id, new)


def _tags(found: Any) -> Properties:
    tags = tag_map(found.get("Tags"))
    return {"tags": tags, "tagsAll": tags}


def _arn(aws: Context, kind: str, id: str) -> str:
    return f"arn:aws:ec2:{aws.region}:{aws.account}:{kind}/{id}"


class Vpc(Kind):
    type_name = "aws:ec2/vpc:Vpc"
    inputs = set_of("cidrBlock enableDnsHostnames enableDnsSupport tags tagsAll")
    replace = set_of("cidrBlock")
    defaults: ClassVar = {"enableDnsSupport": True}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = aws("ec2").create_vpc(CidrBlock=given["cidrBlock"])["Vpc"]["VpcId"]
        self._attributes(aws, id, given)
        _tag(aws, id, given)
        return id, self.read(aws, id, {}) or {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        ec2 = aws("ec2")
        found = next((v for v in ec2.describe_vpcs()["Vpcs"] if v["VpcId"] == id), None)
        if found is None:
            return None
        mine = [{"Name": "vpc-id", "Values": [id]}]
        groups = ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        tables = ec2.describe_route_tables(Filters=mine)["RouteTables"]
        names = ec2.describe_vpc_attribute(VpcId=id, Attribute="enableDnsHostnames")
        support = ec2.describe_vpc_attribute(VpcId=id, Attribute="enableDnsSupport")
        return {
            "arn": _arn(aws, "vpc", id),
            "cidrBlock": found["CidrBlock"],
            "enableDnsHostnames": names["EnableDnsHostnames"]["Value"],
            "enableDnsSupport": support["EnableDnsSupport"]["Value"],
            "defaultSecurityGroupId": next((g["GroupId"] for g in groups if g["GroupName"] == "default"), ""),
            "mainRouteTableId": next((t["RouteTableId"] for t in tables), ""),
            **_tags(found),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self._attributes(aws, id, new)
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_vpc(VpcId=id)

    def _attributes(self, aws: Context, id: str, given: Properties) -> None:
        support, names = bool(given.get("enableDnsSupport")), bool(given.get("enableDnsHostnames"))
        aws("ec2").modify_vpc_attribute(VpcId=id, EnableDnsSupport={"Value": support})
        aws("ec2").modify_vpc_attribute(VpcId=id, EnableDnsHostnames={"Value": names})


class InternetGateway(Kind):
    type_name = "aws:ec2/internetGateway:InternetGateway"
    inputs = set_of("vpcId tags tagsAll")
    replace = set_of("vpcId")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = aws("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        aws("ec2").attach_internet_gateway(InternetGatewayId=id, VpcId=given["vpcId"])
        _tag(aws, id, given)
        return id, {"arn": _arn(aws, "internet-gateway", id)}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        gateways = aws("ec2").describe_internet_gateways()["InternetGateways"]
        found = next((g for g in gateways if g["InternetGatewayId"] == id), None)
        if found is None:
            return None
        vpc = found["Attachments"][0]["VpcId"] if found.get("Attachments") else ""
        return {"vpcId": vpc, "arn": _arn(aws, "internet-gateway", id), **_tags(found)}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        if known.get("vpcId"):
            aws("ec2").detach_internet_gateway(InternetGatewayId=id, VpcId=known["vpcId"])
        aws("ec2").delete_internet_gateway(InternetGatewayId=id)


class Subnet(Kind):
    type_name = "aws:ec2/subnet:Subnet"
    inputs = set_of("vpcId cidrBlock availabilityZone mapPublicIpOnLaunch tags tagsAll")
    replace = set_of("vpcId cidrBlock availabilityZone")
    delete_first = True  # its range is taken for as long as the old one is there

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        zone = {"AvailabilityZone": given["availabilityZone"]} if given.get("availabilityZone") else {}
        made = aws("ec2").create_subnet(VpcId=given["vpcId"], CidrBlock=given["cidrBlock"], **zone)
        id = made["Subnet"]["SubnetId"]
        self._attributes(aws, id, given)
        _tag(aws, id, given)
        return id, {"arn": _arn(aws, "subnet", id), "availabilityZone": made["Subnet"]["AvailabilityZone"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = next((s for s in aws("ec2").describe_subnets()["Subnets"] if s["SubnetId"] == id), None)
        return found and {
            "arn": _arn(aws, "subnet", id),
            "vpcId": found["VpcId"],
            "cidrBlock": found["CidrBlock"],
            "availabilityZone": found["AvailabilityZone"],
            "mapPublicIpOnLaunch": found.get("MapPublicIpOnLaunch", False),
            **_tags(found),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self._attributes(aws, id, new)
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_subnet(SubnetId=id)

    def _attributes(self, aws: Context, id: str, given: Properties) -> None:
        public = bool(given.get("mapPublicIpOnLaunch"))
        aws("ec2").modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch={"Value": public})


class RouteTable(Kind):
    type_name = "aws:ec2/routeTable:RouteTable"
    inputs = set_of("vpcId tags tagsAll")
    replace = set_of("vpcId")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = aws("ec2").create_route_table(VpcId=given["vpcId"])["RouteTable"]["RouteTableId"]
        _tag(aws, id, given)
        return id, {"arn": _arn(aws, "route-table", id)}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = _table(aws, id)
        return found and {"vpcId": found["VpcId"], "arn": _arn(aws, "route-table", id), **_tags(found)}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_route_table(RouteTableId=id)


def _table(aws: Context, id: str) -> Any:
    tables = aws("ec2").describe_route_tables()["RouteTables"]
    return next((table for table in tables if table["RouteTableId"] == id), None)


class RouteTableAssociation(Kind):
    type_name = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    inputs = set_of("routeTableId subnetId")
    replace = inputs
    delete_first = True  # a subnet has one table

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ec2").associate_route_table(RouteTableId=given["routeTableId"], SubnetId=given["subnetId"])
        return made["AssociationId"], {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        for table in aws("ec2").describe_route_tables()["RouteTables"]:
            for association in table.get("Associations", []):
                if association["RouteTableAssociationId"] == id:
                    return {"routeTableId": table["RouteTableId"], "subnetId": association.get("SubnetId", "")}
        return None

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").disassociate_route_table(AssociationId=id)


class Route(Kind):
    """Its id is table and destination, as one text."""

    type_name = "aws:ec2/route:Route"
    inputs = set_of("routeTableId destinationCidrBlock gatewayId natGatewayId")
    replace = inputs
    delete_first = True  # a table has one route to a destination

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        way = {"gatewayId": "GatewayId", "natGatewayId": "NatGatewayId"}
        target = {name: given[key] for key, name in way.items() if given.get(key)}
        table, destination = given["routeTableId"], given["destinationCidrBlock"]
        aws("ec2").create_route(RouteTableId=table, DestinationCidrBlock=destination, **target)
        return f"{table}_{destination}", {"origin": "CreateRoute", "state": "active"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        table, _, destination = id.partition("_")
        routes = (_table(aws, table) or {}).get("Routes", [])
        found = next((r for r in routes if r.get("DestinationCidrBlock") == destination), None)
        return found and {
            "routeTableId": table,
            "destinationCidrBlock": destination,
            "gatewayId": found.get("GatewayId"),
            "natGatewayId": found.get("NatGatewayId"),
        }

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        table, _, destination = id.partition("_")
        aws("ec2").delete_route(RouteTableId=table, DestinationCidrBlock=destination)


class Eip(Kind):
    type_name = "aws:ec2/eip:Eip"
    inputs = set_of("domain tags tagsAll")
    replace = set_of("domain")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ec2").allocate_address(Domain=given.get("domain", "vpc"))
        _tag(aws, made["AllocationId"], given)
        return made["AllocationId"], {"allocationId": made["AllocationId"], "publicIp": made["PublicIp"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        addresses = aws("ec2").describe_addresses()["Addresses"]
        found = next((a for a in addresses if a["AllocationId"] == id), None)
        return found and {"allocationId": id, "publicIp": found["PublicIp"], "domain": "vpc", **_tags(found)}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").release_address(AllocationId=id)


class NatGateway(Kind):
    type_name = "aws:ec2/natGateway:NatGateway"
    inputs = set_of("allocationId subnetId tags tagsAll")
    replace = set_of("allocationId subnetId")
    delete_first = True  # an address belongs to one gateway

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ec2").create_nat_gateway(SubnetId=given["subnetId"], AllocationId=given["allocationId"])
        id = made["NatGateway"]["NatGatewayId"]
        _tag(aws, id, given)
        return id, {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        gateways = aws("ec2").describe_nat_gateways()["NatGateways"]
        found = next((g for g in gateways if g["NatGatewayId"] == id and g["State"] != "deleted"), None)
        if found is None:
            return None
        address = (found.get("NatGatewayAddresses") or [{}])[0].get("AllocationId")
        return {"subnetId": found["SubnetId"], "allocationId": address, **_tags(found)}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_nat_gateway(NatGatewayId=id)


class VpcEndpoint(Kind):
    type_name = "aws:ec2/vpcEndpoint:VpcEndpoint"
    inputs = set_of(
        "vpcId serviceName vpcEndpointType routeTableIds subnetIds securityGroupIds privateDnsEnabled tags tagsAll"
    )
    replace = set_of("vpcId serviceName vpcEndpointType")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        optional = {
            "RouteTableIds": given.get("routeTableIds"),
            "SubnetIds": given.get("subnetIds"),
            "SecurityGroupIds": given.get("securityGroupIds"),
            "PrivateDnsEnabled": given.get("privateDnsEnabled"),
        }
        made = aws("ec2").create_vpc_endpoint(
            VpcId=given["vpcId"],
            ServiceName=given["serviceName"],
            VpcEndpointType=given.get("vpcEndpointType", "Gateway"),
            **{key: value for key, value in optional.items() if value is not None},
        )
        id = made["VpcEndpoint"]["VpcEndpointId"]
        _tag(aws, id, given)
        return id, {"arn": _arn(aws, "vpc-endpoint", id), "prefixListId": "pl-63a5400a", "state": "available"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        endpoints = aws("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        found = next((e for e in endpoints if e["VpcEndpointId"] == id), None)
        return found and {
            "vpcId": found["VpcId"],
            "serviceName": found["ServiceName"],
            "vpcEndpointType": found["VpcEndpointType"],
            "routeTableIds": found.get("RouteTableIds"),
            "subnetIds": found.get("SubnetIds"),
            **_tags(found),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        for key, word in (("routeTableIds", "RouteTableIds"), ("subnetIds", "SubnetIds")):
            before, after = set(old.get(key) or []), set(new.get(key) or [])
            if after - before:
                aws("ec2").modify_vpc_endpoint(VpcEndpointId=id, **{f"Add{word}": sorted(after - before)})
            if before - after:
                aws("ec2").modify_vpc_endpoint(VpcEndpointId=id, **{f"Remove{word}": sorted(before - after)})
        _retag(aws, id, old, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[id])

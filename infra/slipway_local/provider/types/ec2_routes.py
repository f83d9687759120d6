"""EC2: route tables, and which subnet has which."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names
from slipway_local.provider.types.ec2_tags import create_tags, ec2_arn, read_tags, update_tags


class RouteTableResource(ResourceType):
    type_name = "aws:ec2/routeTable:RouteTable"
    inputs = property_names("vpcId tags tagsAll")
    force_replacement = property_names("vpcId")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = aws("ec2").create_route_table(VpcId=inputs["vpcId"])["RouteTable"]["RouteTableId"]
        create_tags(aws, id, inputs)
        return id, {"arn": ec2_arn(aws, "route-table", id)}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = _table(aws, id)
        return resource and {"vpcId": resource["VpcId"], "arn": ec2_arn(aws, "route-table", id), **read_tags(resource)}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        update_tags(aws, id, old, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_route_table(RouteTableId=id)


def _table(aws: ProviderContext, id: str) -> Any:
    tables = aws("ec2").describe_route_tables()["RouteTables"]
    return next((table for table in tables if table["RouteTableId"] == id), None)


class RouteTableAssociationResource(ResourceType):
    type_name = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    inputs = property_names("routeTableId subnetId")
    force_replacement = property_names("subnetId")
    delete_before_replace = True  # a subnet has one table

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("ec2").associate_route_table(RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"])
        return created["AssociationId"], {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        for table in aws("ec2").describe_route_tables()["RouteTables"]:
            for association in table.get("Associations", []):
                if association["RouteTableAssociationId"] == state.get("associationId", id):
                    return {"routeTableId": table["RouteTableId"], "subnetId": association.get("SubnetId", "")}
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        """Gives the subnet another table; AWS makes a new association of it, whose id nothing here refers to."""
        replaced = aws("ec2").replace_route_table_association(AssociationId=id, RouteTableId=new["routeTableId"])
        return {"associationId": replaced["NewAssociationId"]}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").disassociate_route_table(AssociationId=state.get("associationId", id))


class RouteResource(ResourceType):
    """Its id is table and destination, as one text."""

    type_name = "aws:ec2/route:Route"
    inputs = property_names("routeTableId destinationCidrBlock gatewayId natGatewayId")
    force_replacement = property_names("routeTableId destinationCidrBlock")
    delete_before_replace = True  # a table has one route to a destination

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        table = inputs["routeTableId"]
        destination = inputs["destinationCidrBlock"]
        aws("ec2").create_route(RouteTableId=table, DestinationCidrBlock=destination, **_route_target(inputs))
        return f"{table}_{destination}", {"origin": "CreateRoute", "state": "active"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        table, _, destination = id.partition("_")
        routes = (_table(aws, table) or {}).get("Routes", [])
        resource = next((r for r in routes if r.get("DestinationCidrBlock") == destination), None)
        return resource and {
            "routeTableId": table,
            "destinationCidrBlock": destination,
            "gatewayId": resource.get("GatewayId"),
            "natGatewayId": resource.get("NatGatewayId"),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        table, _, destination = id.partition("_")
        aws("ec2").replace_route(RouteTableId=table, DestinationCidrBlock=destination, **_route_target(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        table, _, destination = id.partition("_")
        aws("ec2").delete_route(RouteTableId=table, DestinationCidrBlock=destination)


def _route_target(inputs: Properties) -> dict[str, str]:
    """Returns the gateway that a route leads to, as EC2's calls take it."""
    parameters = {"gatewayId": "GatewayId", "natGatewayId": "NatGatewayId"}
    return {name: inputs[key] for key, name in parameters.items() if inputs.get(key)}

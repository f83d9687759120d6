"""ECS: services, and the wait for what was asked for."""

from __future__ import annotations

from typing import Any, ClassVar

from slipway.release import failure_report, rollout
from slipway_local.provider.resource_type import (
    InitFailed,
    Properties,
    ProviderContext,
    ResourceType,
    UnsupportedOperation,
    property_names,
    tag_list,
)

STEADY_TIMEOUT_SECONDS = 900
"""How long a service may take to become steady; the circuit breaker ends most failures much earlier."""
DRAIN_TIMEOUT_SECONDS = 300


class EcsServiceResource(ResourceType):
    """Waits for a steady state where `waitForSteadyState` is set, and fails when ECS rolled the deployment back."""

    type_name = "aws:ecs/service:Service"
    inputs = property_names(
        "name cluster taskDefinition desiredCount launchType capacityProviderStrategies platformVersion",
        "networkConfiguration loadBalancers deploymentCircuitBreaker deploymentMinimumHealthyPercent",
        "deploymentMaximumPercent healthCheckGracePeriodSeconds enableEcsManagedTags propagateTags",
        "enableExecuteCommand",
        "waitForSteadyState forceNewDeployment alarms deploymentConfiguration serviceRegistries tags tagsAll",
    )
    force_replacement = property_names("name cluster launchType")
    name_property = ("name", 255)
    defaults: ClassVar = {"deploymentMinimumHealthyPercent": 100, "deploymentMaximumPercent": 200}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("ecs").create_service(
            serviceName=inputs["name"],
            cluster=inputs["cluster"],
            desiredCount=inputs.get("desiredCount", 0),
            loadBalancers=inputs.get("loadBalancers") or [],
            enableECSManagedTags=bool(inputs.get("enableEcsManagedTags")),
            propagateTags=inputs.get("propagateTags", "NONE"),
            tags=tag_list(inputs, "key", "value"),
            **({"launchType": inputs["launchType"]} if inputs.get("launchType") else {}),
            **self._changeable(inputs),
        )["service"]
        arn = created["serviceArn"]
        if inputs.get("waitForSteadyState"):
            self._steady(aws, arn, inputs)
        return arn, {"arn": arn}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        cluster = state.get("cluster") or id.split("/")[1]
        services = aws("ecs").describe_services(cluster=cluster, services=[id])["services"]
        if not services or services[0]["status"] == "INACTIVE":
            return None
        service = services[0]
        network = (service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        return {
            "arn": id,
            "name": service["serviceName"],
            "cluster": service["clusterArn"],
            "taskDefinition": service["taskDefinition"],
            "desiredCount": service["desiredCount"],
            "loadBalancers": service.get("loadBalancers"),
            "networkConfiguration": {
                "subnets": network.get("subnets"),
                "securityGroups": network.get("securityGroups"),
                "assignPublicIp": network.get("assignPublicIp") == "ENABLED",
            },
            "healthCheckGracePeriodSeconds": service.get("healthCheckGracePeriodSeconds"),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").update_service(
            service=id,
            cluster=new["cluster"],
            **({"desiredCount": new["desiredCount"]} if _changes_desired_count(old, new) else {}),
            **({"loadBalancers": new["loadBalancers"]} if new.get("loadBalancers") else {}),
            forceNewDeployment=bool(new.get("forceNewDeployment")),
            **self._changeable(new),
        )
        if new.get("waitForSteadyState"):
            self._steady(aws, id, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ecs").delete_service(cluster=state["cluster"], service=id, force=True)

        def inactive() -> bool:
            services = aws("ecs").describe_services(cluster=state["cluster"], services=[id])["services"]
            return not services or services[0]["status"] == "INACTIVE"

        aws.wait(inactive, DRAIN_TIMEOUT_SECONDS, f"the end of {id}")

    def _changeable(self, inputs: Properties) -> dict[str, Any]:
        network = inputs.get("networkConfiguration")
        breaker = inputs.get("deploymentCircuitBreaker") or {"enable": False, "rollback": False}
        resource: dict[str, Any] = {
            "taskDefinition": inputs["taskDefinition"],
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": breaker,
                "maximumPercent": inputs["deploymentMaximumPercent"],
                "minimumHealthyPercent": inputs["deploymentMinimumHealthyPercent"],
                **({"alarms": inputs["alarms"]} if inputs.get("alarms") else {}),
                **_rolling_deployment_config(inputs.get("deploymentConfiguration") or {}),
            },
        }
        if network:
            resource["networkConfiguration"] = {
                "awsvpcConfiguration": {
                    "subnets": network["subnets"],
                    "securityGroups": network.get("securityGroups") or [],
                    "assignPublicIp": "ENABLED" if network.get("assignPublicIp") else "DISABLED",
                }
            }
        if inputs.get("capacityProviderStrategies"):
            resource["capacityProviderStrategy"] = inputs["capacityProviderStrategies"]
        if inputs.get("serviceRegistries"):  # kept, and nothing asks for the name
            resource["serviceRegistries"] = [inputs["serviceRegistries"]]
        resource["enableExecuteCommand"] = bool(inputs.get("enableExecuteCommand"))
        for key in ("platformVersion", "healthCheckGracePeriodSeconds"):
            if inputs.get(key) is not None:
                resource[key] = inputs[key]
        return resource

    def _steady(self, aws: ProviderContext, arn: str, inputs: Properties) -> None:
        """Waits for the end of the deployment that was asked for; else say why its own tasks did not come up."""
        clients = LocalClients(aws)
        service = rollout.ExpectedService(inputs["cluster"], inputs["name"], inputs["taskDefinition"])

        def steady() -> bool:
            (service,) = aws("ecs").describe_services(cluster=inputs["cluster"], services=[arn])["services"]
            return len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]

        try:
            deployment = rollout.wait_for_rollout(clients, service, lambda _: None, STEADY_TIMEOUT_SECONDS, aws.sleep)
            if deployment is None or deployment.status != rollout.SUCCESSFUL:
                raise InitFailed(arn, {"arn": arn}, _failure_reason(clients, service, deployment))
            aws.wait(steady, STEADY_TIMEOUT_SECONDS, f"a steady state of {arn}")
        except TimeoutError as error:
            raise InitFailed(arn, {"arn": arn}, str(error)) from None


def _changes_desired_count(old: Properties, new: Properties) -> bool:
    """Returns whether the program changes the count; with `ignore_changes` autoscaling's is not set back."""
    return "desiredCount" in new and new["desiredCount"] != old.get("desiredCount")


def _rolling_deployment_config(inputs: Properties) -> Properties:
    """Returns the supported part of a deployment configuration. Raises `UnsupportedOperation` for any other."""
    unsupported = sorted(key for key, value in inputs.items() if value and key not in ("strategy", "bakeTimeInMinutes"))
    if unsupported or inputs.get("strategy", "ROLLING") != "ROLLING":
        raise UnsupportedOperation(
            f"the local ECS rolls out by ROLLING only, without {', '.join(unsupported) or inputs['strategy']}"
        )
    minutes = inputs.get("bakeTimeInMinutes")
    return {"strategy": "ROLLING"} | ({"bakeTimeInMinutes": int(minutes)} if minutes else {})


class LocalClients:
    """The provider's clients, as the release wants them."""

    def __init__(self, aws: ProviderContext) -> None:
        self.client = aws


def _failure_reason(
    clients: LocalClients, service: rollout.ExpectedService, deployment: rollout.ServiceDeployment | None
) -> str:
    if deployment is None:
        return "ECS has no deployment of it"
    lines = [
        f"the new tasks do not come up ({deployment.status})",
        *failure_report.explain_failure(clients, service, deployment),
    ]
    return "\n".join(lines)

"""ECS: services, and the wait for what was asked for."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, InitFailed, Kind, Properties, Refused, set_of, tag_list
from infra.release import failure, rollout

STEADY_SECONDS = 900
"""How long a service may take to become steady; the circuit breaker ends most failures much earlier."""
DRAIN_SECONDS = 300


class Service(Kind):
    """Waits for a steady state where `waitForSteadyState` is set, and fails when ECS rolled the deployment back."""

    type_name = "aws:ecs/service:Service"
    inputs = set_of(
        "name cluster taskDefinition desiredCount launchType capacityProviderStrategies platformVersion",
        "networkConfiguration loadBalancers deploymentCircuitBreaker deploymentMinimumHealthyPercent",
        "deploymentMaximumPercent healthCheckGracePeriodSeconds enableEcsManagedTags propagateTags",
        "waitForSteadyState forceNewDeployment alarms deploymentConfiguration serviceRegistries tags tagsAll",
    )
    replace = set_of("name cluster launchType")
    named = ("name", 255)
    defaults: ClassVar = {"deploymentMinimumHealthyPercent": 100, "deploymentMaximumPercent": 200}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ecs").create_service(
            serviceName=given["name"],
            cluster=given["cluster"],
            desiredCount=given.get("desiredCount", 0),
            loadBalancers=given.get("loadBalancers") or [],
            enableECSManagedTags=bool(given.get("enableEcsManagedTags")),
            propagateTags=given.get("propagateTags", "NONE"),
            tags=tag_list(given, "key", "value"),
            **({"launchType": given["launchType"]} if given.get("launchType") else {}),
            **self._changeable(given),
        )["service"]
        arn = made["serviceArn"]
        if given.get("waitForSteadyState"):
            self._steady(aws, arn, given)
        return arn, {"arn": arn}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        cluster = known.get("cluster") or id.split("/")[1]
        found = aws("ecs").describe_services(cluster=cluster, services=[id])["services"]
        if not found or found[0]["status"] == "INACTIVE":
            return None
        service = found[0]
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

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").update_service(
            service=id,
            cluster=new["cluster"],
            **({"desiredCount": new["desiredCount"]} if "desiredCount" in new else {}),
            **({"loadBalancers": new["loadBalancers"]} if new.get("loadBalancers") else {}),
            forceNewDeployment=bool(new.get("forceNewDeployment")),
            **self._changeable(new),
        )
        if new.get("waitForSteadyState"):
            self._steady(aws, id, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ecs").delete_service(cluster=known["cluster"], service=id, force=True)

        def inactive() -> bool:
            found = aws("ecs").describe_services(cluster=known["cluster"], services=[id])["services"]
            return not found or found[0]["status"] == "INACTIVE"

        aws.wait(inactive, DRAIN_SECONDS, f"the end of {id}")

    def _changeable(self, given: Properties) -> dict[str, Any]:
        network = given.get("networkConfiguration")
        breaker = given.get("deploymentCircuitBreaker") or {"enable": False, "rollback": False}
        found: dict[str, Any] = {
            "taskDefinition": given["taskDefinition"],
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": breaker,
                "maximumPercent": given["deploymentMaximumPercent"],
                "minimumHealthyPercent": given["deploymentMinimumHealthyPercent"],
                **({"alarms": given["alarms"]} if given.get("alarms") else {}),
                **_rolling(given.get("deploymentConfiguration") or {}),
            },
        }
        if network:
            found["networkConfiguration"] = {
                "awsvpcConfiguration": {
                    "subnets": network["subnets"],
                    "securityGroups": network.get("securityGroups") or [],
                    "assignPublicIp": "ENABLED" if network.get("assignPublicIp") else "DISABLED",
                }
            }
        if given.get("capacityProviderStrategies"):
            found["capacityProviderStrategy"] = given["capacityProviderStrategies"]
        if given.get("serviceRegistries"):  # kept, and nothing asks for the name
            found["serviceRegistries"] = [given["serviceRegistries"]]
        for key in ("platformVersion", "healthCheckGracePeriodSeconds"):
            if given.get(key) is not None:
                found[key] = given[key]
        return found

    def _steady(self, aws: Context, arn: str, given: Properties) -> None:
        """Wait for the end of the deployment that was asked for; else say why its own tasks did not come up."""
        clients = Clients(aws)
        service = rollout.Service(given["cluster"], given["name"], given["taskDefinition"])

        def steady() -> bool:
            (found,) = aws("ecs").describe_services(cluster=given["cluster"], services=[arn])["services"]
            return len(found["deployments"]) == 1 and found["runningCount"] == found["desiredCount"]

        try:
            deployment = rollout.follow(clients, service, lambda _: None, STEADY_SECONDS, aws.pause)
            if deployment is None or deployment.status != rollout.SUCCESSFUL:
                raise InitFailed(arn, {"arn": arn}, _why(clients, service, deployment))
            aws.wait(steady, STEADY_SECONDS, f"a steady state of {arn}")
        except TimeoutError as error:
            raise InitFailed(arn, {"arn": arn}, str(error)) from None


def _rolling(given: Properties) -> Properties:
    """The part of a deployment configuration that the local ECS has; the rest is refused rather than left out."""
    beyond = sorted(key for key, value in given.items() if value and key not in ("strategy", "bakeTimeInMinutes"))
    if beyond or given.get("strategy", "ROLLING") != "ROLLING":
        raise Refused(f"the local ECS rolls out by ROLLING only, without {', '.join(beyond) or given['strategy']}")
    minutes = given.get("bakeTimeInMinutes")
    return {"strategy": "ROLLING"} | ({"bakeTimeInMinutes": int(minutes)} if minutes else {})


class Clients:
    """The provider's clients, as the release wants them."""

    def __init__(self, aws: Context) -> None:
        self.client = aws


def _why(clients: Clients, service: rollout.Service, deployment: rollout.Deployment | None) -> str:
    if deployment is None:
        return "ECS has no deployment of it"
    lines = [f"the new tasks do not come up ({deployment.status})", *failure.explain(clients, service, deployment)]
    return "\n".join(lines)

"""Grafana: who reaches it, what it shows and what it is given; its files as its own code reads them."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from slipway.components.grafana_service import GRAFANA_ENVIRONMENT
from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.program.component_args.network import select_interface_endpoints
from tests.infra.program import containers, program, programmed
from tests.infra.recorder import of
from tests.paths import ROOT

FOLDER = ROOT / "docker" / "grafana"
# What Grafana reads of these files, from its sources: upsertDataSourceFromConfigV1 in
# pkg/services/provisioning/datasources/types.go, the providers in dashboards/types.go and, for the last two,
# https://grafana.com/docs/grafana/latest/administration/provisioning/#dashboards. It passes over what is not among it.
DATASOURCE = {
    "name", "type", "access", "orgId", "orgName", "uid", "url", "user", "database", "basicAuth", "basicAuthUser",
    "withCredentials", "isDefault", "correlations", "jsonData", "secureJsonData", "editable", "version",
}  # fmt: skip
PROVIDER = {
    "name", "orgId", "folder", "folderUid", "type", "options", "disableDeletion", "editable",
    "updateIntervalSeconds", "allowUiUpdates",
}  # fmt: skip


def settings(**changes: Any) -> Settings:
    return Settings.from_files("prod").model_copy(
        update={"domain": "api.acme.test", "alarm_email": "ops@acme.test"} | changes
    )


def environment() -> dict[str, str]:
    return {each["name"]: each["value"] for each in containers("prod")["grafana"]["environment"]}


def test_it_is_behind_the_domains_tls_under_a_path_that_goes_before_the_apps_own() -> None:
    found = program("prod")
    rules = {rule.name: rule.inputs for rule in of(found, "aws:lb/listenerRule:ListenerRule")}
    rule = rules["slipway-prod-grafana-rule"]
    assert rule["conditions"] == [
        {"pathPattern": {"values": ["/grafana", "/grafana/*"]}},
        {"hostHeader": {"values": ["api.acme.test"]}},
    ]
    assert rule["priority"] < rules["slipway-prod-web-rule"]["priority"]
    assert rule["listenerArn"].endswith("slipway-prod-https")
    assert environment()["GF_SERVER_ROOT_URL"] == "https://api.acme.test/grafana/"
    groups = {group.name: group.inputs for group in of(found, "aws:lb/targetGroup:TargetGroup")}
    assert groups["slipway-prod-grafana"]["healthCheck"]["path"] == "/grafana/api/health"


def test_nobody_gets_in_without_a_login_and_the_password_is_in_no_variable() -> None:
    assert (GRAFANA_ENVIRONMENT["GF_AUTH_ANONYMOUS_ENABLED"], GRAFANA_ENVIRONMENT["GF_USERS_ALLOW_SIGN_UP"]) == (
        "false",
        "false",
    )
    assert GRAFANA_ENVIRONMENT["GF_SECURITY_COOKIE_SECURE"] == "true"
    (secret,) = containers("prod")["grafana"]["secrets"]
    assert secret["name"] == "GF_SECURITY_ADMIN_PASSWORD"
    assert secret["valueFrom"].startswith("arn:aws:secretsmanager:")


def test_what_it_writes_is_in_the_scratch_volume_one_level_deep_for_its_start_makes_no_more() -> None:
    """The image's /run.sh ends where `mkdir "$GF_PATHS_PLUGINS"` fails, without -p, and the volume begins empty."""
    assert GRAFANA_ENVIRONMENT["GF_PATHS_DATA"] == constants.SCRATCH_PATH
    for path in ("GF_PATHS_PLUGINS", "GF_PATHS_LOGS"):
        assert PurePosixPath(GRAFANA_ENVIRONMENT[path]).parent == PurePosixPath(constants.SCRATCH_PATH)


def test_it_finds_prometheus_by_a_name_that_prometheus_registers_with() -> None:
    found = program("prod")
    (namespace,) = of(found, "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace")
    (registered,) = of(found, "aws:servicediscovery/service:Service")
    services = {service.name: service.inputs for service in of(found, "aws:ecs/service:Service")}
    host = f"{registered.inputs['name']}.{namespace.inputs['name']}"
    assert environment()["PROMETHEUS_URL"] == f"http://{host}:9090"
    assert services["slipway-prod-prometheus"]["serviceRegistries"] == {
        "registryArn": f"arn:aws:mock:::{registered.name}"
    }
    assert [name for name, service in services.items() if "serviceRegistries" in service] == ["slipway-prod-prometheus"]


def test_without_it_there_is_no_name_no_image_and_no_way_to_prometheus() -> None:
    found = programmed("prod", settings(grafana=False))
    assert [r.name for r in found if "grafana" in r.name or "servicediscovery" in r.type] == []
    assert "monitoring" not in select_interface_endpoints(settings(grafana=False, interface_endpoints=True))
    assert "monitoring" in select_interface_endpoints(settings(interface_endpoints=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"monitoring": False, "managedPrometheus": False}, "monitoring is false"),
        ({"domain": "", "hostedZoneId": ""}, "domain is empty: its login requires TLS"),
    ],
)
def test_it_is_refused_without_what_it_shows_or_without_tls(changes: dict[str, Any], words: str) -> None:
    values = Settings.from_files("prod").model_dump(by_alias=True, exclude_none=True) | {"tier": "staging"} | changes
    with pytest.raises(SlipwayError, match=f"grafana is true and {words}"):
        Settings.load(values, "a test's stack")


def test_a_process_cannot_take_its_name() -> None:
    with pytest.raises(ValueError, match=r"processes\.grafana: the kit has a task"):
        AppSpec.model_validate({"source": "app", "module": "a:b", "processes": {"grafana": {"command": "sleep 1"}}})


def files(kind: str) -> Any:
    return yaml.safe_load((FOLDER / "provisioning" / kind / "slipway.yaml").read_text())


def test_its_data_sources_have_no_field_that_it_would_pass_over_and_no_variable_that_it_is_not_given() -> None:
    found = files("datasources")
    assert (found["apiVersion"], set(found)) == (1, {"apiVersion", "datasources"})
    sources = {source["uid"]: source for source in found["datasources"]}
    assert {uid: source["type"] for uid, source in sources.items()} == {
        "prometheus": "prometheus",
        "cloudwatch": "cloudwatch",
    }
    assert [source["uid"] for source in sources.values() if source.get("isDefault")] == ["prometheus"]
    for source in sources.values():
        assert set(source) <= DATASOURCE
        assert source["access"] == "proxy"
        assert "secureJsonData" not in source
    assert set(re.findall(r"\$(\w+)", json.dumps(found))) <= set(environment())


def test_its_dashboards_are_a_folder_of_its_image_that_the_dockerfile_fills() -> None:
    found = files("dashboards")
    (provider,) = found["providers"]
    assert set(provider) <= PROVIDER
    assert (provider["type"], provider["folder"], provider["allowUiUpdates"]) == ("file", "Slipway", False)
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert f"COPY --chmod=0644 dashboards {provider['options']['path']}\n" in dockerfile
    for kind in ("datasources", "dashboards"):
        copied = (
            f"provisioning/{kind}/slipway.yaml {GRAFANA_ENVIRONMENT['GF_PATHS_PROVISIONING']}/{kind}/slipway.yaml\n"
        )
        assert copied in dockerfile


def test_what_the_kits_own_images_are_made_from_stands_in_their_dockerfiles_too() -> None:
    bases = constants.MONITORING_IMAGES | {"grafana": constants.GRAFANA_IMAGE, "collector": constants.COLLECTOR_IMAGE}
    for folder, image in bases.items():
        assert f"ARG BASE_IMAGE={image}\n" in (ROOT / "docker" / folder / "Dockerfile").read_text()


def test_every_data_source_that_a_dashboard_names_is_provisioned() -> None:
    kinds = {source["type"] for source in files("datasources")["datasources"]}
    boards = [json.loads(path.read_text()) for path in (FOLDER / "dashboards").glob("*.json")]
    chosen = {v["query"] for board in boards for v in board["templating"]["list"] if v["type"] == "datasource"}
    assert chosen == kinds

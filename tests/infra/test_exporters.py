"""The exporters of Postgres and Redis: who has them, as whom they log in, and what Prometheus is told of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from slipway.config import constants
from slipway.program.exporters import EXPORTER_PORTS
from tests.infra.program import containers, program
from tests.infra.recorder import of
from tests.infra.test_prometheus import written_down
from tests.paths import ROOT

STORES = {"database", "cache"}


def variables(container: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in containers("prod")[container]["environment"]}


def test_they_log_in_as_nobody_else_and_verify_the_server() -> None:
    database, cache = variables("exporter-database"), variables("exporter-cache")
    assert database["DATA_SOURCE_USER"] == "slipway_prod_metrics_1"
    assert variables("database")["METRICS_ROLE"] == database["DATA_SOURCE_USER"]
    assert database["DATA_SOURCE_URI"].endswith(
        f"/slipway_prod?sslmode=verify-full&sslrootcert={constants.DATABASE_CA_PATH}"
    )
    assert cache["REDIS_ADDR"].startswith("rediss://")
    assert cache["REDIS_EXPORTER_TLS_CA_CERT_FILE"] == constants.SYSTEM_CA_PATH
    (secret,) = containers("prod")["exporter-database"]["secrets"]
    (owners,) = (each for each in containers("prod")["database"]["secrets"] if each["name"] == "METRICS_VERIFIER")
    password, verifier = (each["valueFrom"].rsplit(":", 3) for each in (secret, owners))
    assert (password[1], verifier[1]) == ("metrics", "metricsVerifier")
    assert password[0] == verifier[0]


@pytest.mark.parametrize("store", sorted(STORES))
def test_prometheus_goes_on_without_them(store: str) -> None:
    container = containers("prod")[f"exporter-{store}"]
    assert container["essential"] is False
    assert container["restartPolicy"] == {"enabled": True, "restartAttemptPeriod": 60}  # AWS's least; 300 unless said
    assert f"'127.0.0.1', {EXPORTER_PORTS[store]}" in container["healthCheck"]["command"][1]


@pytest.mark.parametrize("store", sorted(STORES))
def test_they_listen_where_the_program_says_and_for_their_own_task_alone(store: str) -> None:
    dockerfile = (ROOT / "docker" / f"exporter-{store}" / "Dockerfile").read_text()
    assert f"web.listen-address=127.0.0.1:{EXPORTER_PORTS[store]}" in dockerfile
    assert f"BASE_IMAGE={constants.EXPORTER_IMAGES[store]}\n" in dockerfile


def test_without_monitoring_there_are_none_and_no_role() -> None:
    assert not {name for name in containers("dev") if name.startswith("exporter-")}
    assert "METRICS_ROLE" not in {each["name"] for each in containers("dev")["database"]["environment"]}
    secrets = {secret.name for secret in of(program("dev"), "aws:secretsmanager/secret:Secret")}
    assert not {name for name in secrets if name.endswith("-metrics")}


@pytest.mark.parametrize("stores", [[], ["cache"], ["database", "cache"]])
def test_prometheus_asks_those_that_are_in_its_task(tmp_path: Path, stores: list[str]) -> None:
    found = written_down(tmp_path, STORES=" ".join(stores), REMOTE_WRITE="https://aps.test/api/v1/remote_write")
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    assert jobs.keys() & STORES == set(stores)
    for store in stores:
        (target,) = jobs[store]["static_configs"]
        assert target["targets"] == [f"127.0.0.1:{EXPORTER_PORTS[store]}"]
        assert (target["labels"]["stack"], target["labels"]["process"]) == ("acme-prod", store)
    assert "@" not in json.dumps(found)
    assert yaml.safe_dump(found["remote_write"])

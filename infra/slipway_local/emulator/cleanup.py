"""Taking away what an emulator made in Docker: by its label, so that a killed one's are found as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import docker.errors
from docker.models.containers import Container

import docker
from slipway_local.emulator.labels import DATA_LABEL, EMULATOR_LABEL
from slipway_local.firewall_chain import remove_chain


def remove_docker_resources(port: int, *, data: bool) -> tuple[int, int]:
    """Removes the containers and volumes of the emulator of `port`; how many there were of each.

    With `data` those of databases too; without, the next emulator finds them. Its packet filter rules go as well.
    """
    remove_chain(port)
    client = docker.from_env(timeout=150)
    filters: dict[str, str | list[str] | bool] = {"label": f"{EMULATOR_LABEL}={port}"}
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)

    def remove(container: Container) -> None:
        try:
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            pass
        except docker.errors.APIError as error:
            if error.status_code != 409:  # its removal is already in progress
                raise

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, containers))
    volumes = [v for v in client.volumes.list(filters=filters) if data or DATA_LABEL not in (v.attrs["Labels"] or {})]
    for volume in volumes:
        volume.remove(force=True)
    return len(containers), len(volumes)

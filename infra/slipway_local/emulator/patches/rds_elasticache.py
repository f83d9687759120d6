"""Databases and caches are kept, as a managed service keeps them: over a restart of their container, of the Docker
engine, and the data of a database over the end of this process as well. ministack has a database in memory, and a cache
forgets a token that it was given while it ran.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import docker.errors
from docker.models.containers import ContainerCollection
from ministack.core.responses import request_scope
from ministack.services import elasticache, rds

from slipway_local.emulator import docker_host
from slipway_local.emulator.labels import DATA_LABEL, docker_labels, gateway_port

log = logging.getLogger("slipway.stores")

WATCH_INTERVAL_SECONDS = 2.0
POSTGRES_PORT = 5432
AUTONAMING_SUFFIX = re.compile(r"-[0-9a-f]{7}$")
"""What Pulumi's automatic naming adds: the next deployment of the same database has another."""

POSTGRES_START_SCRIPT = r"""
data=$0 done=$0/slipway.done
if [ ! -e "$done" ]; then
    rm -rf "$data"/*
    "$@" -c port=5433 -c listen_addresses=127.0.0.1 & # where no client can reach it
    until pg_isready --quiet --host 127.0.0.1 --port 5433; do kill -0 $! && sleep 0.1 || exit 1; done
    kill -INT $!
    wait $! || true
    echo "$HOSTNAME" >"$done"
fi
rm -f "$data"/postmaster.pid # of a killed server: no other server has this volume
if [ "$(cat "$done")" != "$HOSTNAME" ]; then
    password=$(printf %s "$POSTGRES_PASSWORD" | sed "s/'/''/g")
    printf 'ALTER ROLE "%s" PASSWORD '"'%s'"'\n' "$POSTGRES_USER" "$password" |
        su -s /bin/sh postgres -c "$(command -v postgres) --single -D $data postgres"
    echo "$HOSTNAME" >"$done"
fi
tls=host
[ "$SLIPWAY_FORCE_TLS" = 0 ] || tls=hostssl
sed -i -E "s/^(host|hostssl)([[:space:]]+all[[:space:]]+all[[:space:]]+all[[:space:]])/$tls\\2/" "$data/pg_hba.conf"
exec "$@"
"""
"""Around the image's own start. An interrupted first start begins again, so it is over before any client can write;
who takes over another container's data sets the owner's password to the one that it was given, its own it keeps, for
RDS may have changed it since. With `rds.force_ssl` a connection without TLS is refused."""

_data_volumes: dict[str, str] = {}
"""Name of a database's container -> its volume."""
_restore_sources: dict[str, str] = {}
"""Name of a database's container -> the volume that it begins as a copy of."""
_cache_starts: dict[str, tuple[str, str]] = {}
"""Container of a cache -> the token that it starts with, and when it was started last."""


requested_ports: dict[str, int] = {}
"""Identifier of a database -> the port that it was asked for with: it is published on another one of this machine."""
_creating: ContextVar[str] = ContextVar("parameter_group", default="")
"""The parameter group of the database that is being created."""


def install() -> None:
    """Wrap the creation of their containers, and watch over the caches."""
    rds._create_db_instance_impl = _wrap_create_db_instance(rds._create_db_instance_impl)
    rds._rds_docker_name = lambda db_id, account_id=None, region=None: f"{db_id}-{gateway_port()}"
    ContainerCollection.create = _wrap_create_container(ContainerCollection.create)  # type: ignore[method-assign]  # a patch
    threading.Thread(target=_watch_caches, daemon=True, name="stores").start()


def _wrap_create_db_instance(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(parameters: dict[str, Any]) -> Any:
        requested_ports[rds._p(parameters, "DBInstanceIdentifier")] = int(rds._p(parameters, "Port") or POSTGRES_PORT)
        token = _creating.set(rds._p(parameters, "DBParameterGroupName"))
        try:
            return original(parameters)
        finally:
            _creating.reset(token)

    return create


def delete_database_data(database: str) -> None:
    """Removes the data of a deleted database."""
    volume = _data_volumes.pop(rds._rds_docker_name(database), None)
    if volume:
        docker_host.docker_client().volumes.get(volume).remove(force=True)


def copy_to_snapshot(database: str, snapshot: str) -> None:
    """Copies the data of a database; a running one is paused meanwhile, for a snapshot is of one moment."""
    name = rds._rds_docker_name(database)
    if name not in _data_volumes:
        return
    container = docker_host.docker_client().containers.get(name)
    running = container.status == "running"
    if running:
        container.pause()
    try:
        _copy_volume(_data_volumes[name], _snapshot_volume_name(snapshot), container.image.id)
    finally:
        if running:
            container.unpause()


def set_restore_source(database: str, snapshot: str) -> None:
    """Creates the next database of this identifier from a snapshot's data."""
    _restore_sources[rds._rds_docker_name(database)] = _snapshot_volume_name(snapshot)


def delete_snapshot_data(snapshot: str) -> None:
    """Removes the data of a snapshot."""
    docker_host.docker_client().volumes.get(_snapshot_volume_name(snapshot)).remove(force=True)


def _snapshot_volume_name(snapshot: str) -> str:
    return f"{snapshot.replace(':', '-')}-{gateway_port()}-snapshot"


def _copy_volume(source: str, target: str, image: str, target_labels: dict[str, str] | None = None) -> None:
    client = docker_host.docker_client()
    client.volumes.create(target, labels=docker_labels() | (target_labels or {}))
    client.containers.run(
        image,
        ["cp", "-a", "/source/.", "/target/"],
        entrypoint=[],
        user="root",
        network_mode="none",
        labels=docker_labels(),
        remove=True,
        volumes={source: {"bind": "/source", "mode": "ro"}, target: {"bind": "/target", "mode": "rw"}},
    )


def _wrap_create_container(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: ContainerCollection, *arguments: Any, **options: Any) -> Any:
        service = (options.get("labels") or {}).get("ministack")
        if service not in ("rds", "elasticache"):
            return original(self, *arguments, **options)
        if service == "elasticache":
            options["name"] = f"{options['labels'].get('rg_id') or options['name']}-{gateway_port()}"
        elif "/var/lib/postgresql" in str(options.get("tmpfs")):
            _mount_data_volume(self.client, options)
        options["restart_policy"] = {"Name": "unless-stopped"}
        container = original(self, *arguments, **options)
        if service == "elasticache":
            command = options.get("command") or []
            token = command[command.index("--requirepass") + 1] if "--requirepass" in command else ""
            _cache_starts[container.id] = (token, "")
        return container

    return create


def _mount_data_volume(client: Any, options: dict[str, Any]) -> None:
    """Gives a database a volume in place of memory: that of the same database before, where its emulator has ended."""
    (path,) = options.pop("tmpfs")
    environment = options["environment"]
    database = AUTONAMING_SUFFIX.sub("", options["labels"]["db_id"])
    same = " ".join([database, environment["POSTGRES_USER"], environment.get("POSTGRES_DB", ""), options["image"]])
    left = client.volumes.list(
        filters={"label": [f"{DATA_LABEL}={same}", *(f"{k}={v}" for k, v in docker_labels().items())]}
    )
    beginning = _restore_sources.pop(options["name"], "")
    free = (
        None if beginning else next((volume.name for volume in left if volume.name not in _data_volumes.values()), None)
    )
    if free:
        log.info("database %s takes over the data that %s had", options["name"], free)
    volume = free or f"{options['name']}-data"
    if beginning:
        _copy_volume(beginning, volume, options["image"], {DATA_LABEL: same})
    else:
        client.volumes.create(volume, labels=docker_labels() | {DATA_LABEL: same})
    _data_volumes[options["name"]] = volume
    options["volumes"] = {volume: {"bind": path, "mode": "rw"}}
    entrypoint = options.get("entrypoint") or ["docker-entrypoint.sh"]
    options["command"] = [*entrypoint, *(options.get("command") or ["postgres"])]
    options["entrypoint"] = ["sh", "-c", POSTGRES_START_SCRIPT, path]
    options["init"] = True
    environment["SLIPWAY_FORCE_TLS"] = "1" if _is_tls_forced(options["labels"]["db_id"]) else "0"


def _is_tls_forced(database: str) -> bool:
    """Returns `rds.force_ssl` of a database as it is when its container is created; the default is 1 since Postgres 15.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html
    """
    request = _creating.get()
    groups = [request] if request else []
    for (_, _, name), instance in list(rds._instances.all_items()):
        if name == database:
            groups += [group["DBParameterGroupName"] for group in instance.get("DBParameterGroups") or []]
    for (_, _, name), group in list(rds._param_groups.all_items()):
        if name in groups:
            parameter = (group.get("Parameters") or {}).get("rds.force_ssl") or {}
            return str(parameter.get("ParameterValue", "1")) != "0"
    return True


def _watch_caches() -> None:
    while True:
        time.sleep(WATCH_INTERVAL_SECONDS)
        for (account, region, name), group in elasticache._replication_groups.all_items():
            with request_scope(account, region):
                for container in group.get("_docker_container_ids") or []:
                    try:
                        _restore_auth_tokens(group, container)
                    except docker.errors.APIError as error:
                        log.warning("cache %s: %s", name, error)


def _restore_auth_tokens(group: dict[str, Any], id: str) -> None:
    """Sets the AUTH tokens of a cache that has started again: it knows that of its first start only."""
    container = docker_host.docker_client().containers.get(id)
    started = container.attrs["State"]["StartedAt"]
    first, seen = _cache_starts.get(id, ("", started))
    if container.status != "running" or started == seen:
        return
    tokens = group.get("_auth_tokens") or []
    if tokens != [first]:
        rules = ["resetpass", *(f">{token}" for token in tokens)] if tokens else ["resetpass", "nopass"]
        login = elasticache._node_cli_args(bool(group.get("TransitEncryptionEnabled")), first)
        done = container.exec_run(["redis-cli", *login, "-p", "6379", "ACL", "SETUSER", "default", "on", *rules])
        if b"OK" not in done.output and b"WRONGPASS" not in done.output:  # it knows a later one already
            return  # it is not up yet: at the next look
    _cache_starts[id] = (first, started)

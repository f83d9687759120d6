"""The program: one environment of Slipway, read top to bottom as its architecture."""

from __future__ import annotations

import pulumi

from infra import contract
from infra.components.alarms import Alarms, AlarmsArgs, Watched
from infra.components.budget import Budget, BudgetArgs
from infra.components.cache import Cache, CacheArgs
from infra.components.certificate import Certificate, CertificateArgs
from infra.components.cluster import Cluster, ClusterArgs
from infra.components.database import Database, DatabaseArgs
from infra.components.dns import Dns, DnsArgs
from infra.components.encryption import Encryption, EncryptionArgs
from infra.components.image import Image, ImageArgs
from infra.components.load_balancer import LoadBalancer, LoadBalancerArgs
from infra.components.network import Network, NetworkArgs
from infra.components.pipeline_role import PipelineRole, PipelineRoleArgs
from infra.components.queue import Queue, QueueArgs
from infra.components.registry import Registry, RegistryArgs
from infra.components.scheduled import Scheduled, ScheduledArgs
from infra.components.secrets import Secrets, SecretsArgs
from infra.components.service import Place
from infra.components.storage import Storage, StorageArgs
from infra.components.task import Task, TaskArgs
from infra.components.waf import Waf, WafArgs
from infra.components.web import Web, WebArgs
from infra.components.worker import Worker, WorkerArgs
from infra.release.image_tag import before_the_image_is_pushed
from infra.release.migrate import before_the_service_changes
from infra.settings import Settings

settings = Settings.from_pulumi()
name = f"slipway-{settings.environment}"

# What everything else stands on.
key_arn = Encryption(name, EncryptionArgs.of(settings)).key_arn
network = Network(name, NetworkArgs.of(settings, key_arn=key_arn))
registry = Registry(name, RegistryArgs.of(settings, key_arn=key_arn))
free_tag = before_the_image_is_pushed(name)
image = Image(name, ImageArgs.of(settings, registry=registry, hooks=free_tag))
secrets = Secrets(name, SecretsArgs.of(settings, key_arn=key_arn))
cluster = Cluster(name, ClusterArgs.of(settings))

# What holds data.
database = Database(name, DatabaseArgs.of(settings, network=network, key_arn=key_arn))
token = secrets.value("REDIS_PASSWORD")
cache = Cache(name, CacheArgs.of(settings, network=network, key_arn=key_arn, auth_token=token))
queue = Queue(name, QueueArgs())
exports = Storage(f"{name}-exports", StorageArgs.of(settings, expire_days=contract.EXPORT_DAYS))

# The way in.
certificate = Certificate(name, CertificateArgs.of(settings)) if settings.domain else None
load_balancer = LoadBalancer(name, LoadBalancerArgs.of(settings, network=network, certificate=certificate))
if settings.domain:
    Dns(name, DnsArgs.of(settings, load_balancer=load_balancer))
if settings.waf:
    Waf(name, WafArgs.of(settings, load_balancer=load_balancer, key_arn=key_arn))

# The app, in four roles: it migrates, serves, works and cleans up.
endpoints = contract.Endpoints.of(database, cache, queue, exports)
app = TaskArgs.of(
    settings, network=network, registry=registry, image=image, secrets=secrets, key_arn=key_arn, endpoints=endpoints
)
migration = Task(f"{name}-migrate", "migrate", app.as_owner(database.master_secret_arn))
migrated = before_the_service_changes(name, migration.family)
place = Place(network, cluster, stores=[database, cache])
serving = app.but(statements=[queue.send, *exports.read("exports")])
web = Web(
    name,
    WebArgs.of(settings, place=place, load_balancer=load_balancer, task=serving, hooks=migrated, after=migration.ready),
)
working = app.as_worker(settings, statements=[queue.take, exports.write("exports")])
worker = Worker(name, WorkerArgs.of(settings, place=place, queue=queue, task=working, after=[web]))
cleaning = app.as_worker(settings, command=contract.CLEANUP_COMMAND)
indoors = Place(network, cluster, stores=[database])
cleanup = Scheduled(
    f"{name}-cleanup", ScheduledArgs(indoors, queue, "cleanup", task=cleaning, schedule=settings.cleanup_schedule)
)

# Who is told, and who may deploy.
watched: list[Watched] = [load_balancer, web, worker, database, cache, queue]
alarms = Alarms(name, AlarmsArgs.of(settings, key_arn=key_arn, watched=watched))
if settings.monthly_budget_usd:
    Budget(name, BudgetArgs.of(settings, topic_arn=alarms.topic_arn))
if settings.github_repository:
    tasks = [migration, web.task, worker.task, cleanup.task]
    PipelineRole(name, PipelineRoleArgs.of(settings, registry, cluster, [web, worker], tasks, [cleanup]))

pulumi.export("url", load_balancer.url)
pulumi.export("imageDigest", image.digest)
pulumi.export("cluster", cluster.name)
pulumi.export("service", web.service_name)
pulumi.export("worker", worker.service_name)
pulumi.export("logGroup", web.task.log_group_name)

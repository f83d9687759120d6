"""The program: one environment of Slipway, read top to bottom as its architecture."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.cache import Cache, CacheArgs
from infra.components.cluster import Cluster, ClusterArgs
from infra.components.database import Database, DatabaseArgs
from infra.components.encryption import Encryption, EncryptionArgs
from infra.components.image import Image, ImageArgs
from infra.components.load_balancer import LoadBalancer, LoadBalancerArgs
from infra.components.network import Network, NetworkArgs
from infra.components.queue import Queue, QueueArgs
from infra.components.registry import Registry, RegistryArgs
from infra.components.secrets import Secrets, SecretsArgs
from infra.components.storage import Storage, StorageArgs
from infra.components.task import Task, TaskArgs
from infra.components.web import Web, WebArgs
from infra.components.worker import Worker, WorkerArgs
from infra.release.migrate import before_the_service_changes
from infra.settings import Settings

settings = Settings.from_pulumi()
name = f"slipway-{settings.environment}"
lasting = settings.protect

network = Network(name, NetworkArgs(cidr=settings.vpc_cidr, zones=settings.zones, nat=settings.nat_gateways))
encryption = Encryption(name, EncryptionArgs(deletion_window_days=30 if lasting else 7))
registry = Registry(name, RegistryArgs(force_delete=not lasting))
image = Image(
    name,
    ImageArgs(
        registry=registry,
        context=Path(__file__).resolve().parents[1],
        dockerfile=Path("docker/app/Dockerfile"),
        sources=["app", "docker/app", "pyproject.toml", "uv.lock"],
        base_image=settings.base_image,
        architecture=settings.architecture,
        build_args={} if settings.database_ca else {"RDS_CA_URL": contract.DATABASE_CA_URL},
        network=settings.build_network,
    ),
)
secrets = Secrets(
    name,
    SecretsArgs(
        key_arn=encryption.key_arn,
        generation=settings.secrets_generation,
        extra=settings.app_secrets(),
        recovery_window_days=30 if lasting else 0,
    ),
)
database = Database(
    name,
    DatabaseArgs(
        network=network,
        key_arn=encryption.key_arn,
        instance_class=settings.database_class,
        version=settings.database_version,
        storage_gb=settings.database_storage_gb,
        multi_az=settings.database_multi_az,
        backup_days=settings.database_backup_days,
        protect=lasting,
    ),
)
cache = Cache(
    name,
    CacheArgs(
        network=network,
        auth_token=secrets.value("REDIS_PASSWORD"),
        node_type=settings.cache_class,
        version=settings.cache_version,
        nodes=settings.cache_nodes,
    ),
)
queue = Queue(name, QueueArgs())
exports = Storage(name, StorageArgs(force_destroy=not lasting))
cluster = Cluster(name, ClusterArgs())
load_balancer = LoadBalancer(name, LoadBalancerArgs(network=network, deletion_protection=lasting))

app = TaskArgs(
    registry=registry,
    image=image.reference,
    environment=contract.app_environment(
        settings.environment,
        contract.Endpoints(
            database_host=database.address,
            database_port=database.endpoint_port,
            cache_host=cache.address,
            cache_port=cache.endpoint_port,
            queue_url=queue.url,
            bucket=exports.bucket,
            region=aws.get_region_output().region,
        ),
        cpu=settings.web_cpu,
        pool_size=settings.database_pool_size,
        trusted_proxies=network.public_cidrs,
        database_ca=settings.pem("databaseCa", settings.database_ca) or contract.DATABASE_CA_PATH,
        cache_ca=settings.pem("cacheCa", settings.cache_ca),
        cors_origins=settings.cors_origins,
    ),
    secrets=secrets.references,
    secret_arns=secrets.arns,
    key_arn=encryption.key_arn,
    cpu=settings.web_cpu,
    memory=settings.web_memory,
    architecture=settings.architecture,
    log_retention_days=settings.log_retention_days,
)
send_jobs = {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"], "Resource": queue.arn}
take_jobs = {
    "Effect": "Allow",
    "Action": [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",  # a retry is a message
    ],
    "Resource": queue.arn,
}
files = pulumi.Output.format("{0}/exports/*", exports.arn)
migration = Task(
    f"{name}-migrate",
    "migrate",
    app.but(
        command=contract.MIGRATE_COMMAND,
        secrets={**app.secrets, **contract.owner_secrets(database.master_secret_arn)},
        secret_arns=[*app.secret_arns, database.master_secret_arn],
    ),
)
migrated = before_the_service_changes(name, migration.family)
web = Web(
    name,
    WebArgs(
        network=network,
        load_balancer=load_balancer,
        cluster=cluster,
        task=app.but(statements=[send_jobs, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": files}]),
        stores=[database, cache],
        tasks=settings.web_tasks,
        hooks=migrated,
        after=migration.ready,
    ),
)
worker = Worker(
    name,
    WorkerArgs(
        network=network,
        cluster=cluster,
        task=app.but(
            statements=[take_jobs, {"Effect": "Allow", "Action": "s3:PutObject", "Resource": files}],
            cpu=settings.worker_cpu,
            memory=settings.worker_memory,
        ),
        stores=[database, cache],
        tasks=settings.worker_tasks,
        after=[web],
    ),
)

pulumi.export("url", load_balancer.url)
pulumi.export("imageDigest", image.digest)
pulumi.export("cluster", cluster.name)
pulumi.export("service", web.service_name)
pulumi.export("worker", worker.service_name)
pulumi.export("taskDefinition", web.task_definition_arn)
pulumi.export("logGroup", web.log_group_name)

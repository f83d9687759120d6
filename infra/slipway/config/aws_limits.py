"""Limits of AWS: sizes of tasks and databases, and log retentions."""

from __future__ import annotations

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
# CPU units -> (smallest, largest, step) in MiB. 256 has the odd list 512, 1024, 2048.
FARGATE_MEMORY: dict[int, tuple[int, int, int]] = {
    256: (512, 2048, 512),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}

# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html
DATABASE_MEMORY_GIB: dict[str, int] = {
    "db.t4g.micro": 1,
    "db.t4g.small": 2,
    "db.t4g.medium": 4,
    "db.t4g.large": 8,
    "db.m7g.large": 8,
    "db.m7g.xlarge": 16,
    "db.m7g.2xlarge": 32,
    "db.r7g.large": 16,
    "db.r7g.xlarge": 32,
}

# What CloudWatch Logs accepts for a retention, in days.
LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)


def max_connections(database_class: str) -> int:
    """Returns RDS's default of max_connections: LEAST(DBInstanceClassMemory / 9531392 bytes, 5000).

    84 with 1 GiB, 422 with 4 GiB. DBInstanceClassMemory is what RDS and the operating system leave of the memory; it
    is estimated as a quarter of a GiB less.
    """
    memory = int((DATABASE_MEMORY_GIB[database_class] - 0.25) * 1024**3)
    return min(memory // 9531392, 5000)


def fargate_memory(cpu: int) -> list[int]:
    """Returns the memory sizes in MiB that Fargate allows with `cpu` units; empty for an unknown number of units."""
    if cpu not in FARGATE_MEMORY:
        return []
    if cpu == 256:
        return [512, 1024, 2048]
    smallest, largest, step = FARGATE_MEMORY[cpu]
    return list(range(smallest, largest + 1, step))


def check_fargate_size(cpu_key: str, cpu: int, memory_key: str, memory: int) -> None:
    """Raises `ValueError` with the keys and the allowed sizes where Fargate does not have this pair."""
    allowed = fargate_memory(cpu)
    if not allowed:
        cpus = ", ".join(map(str, FARGATE_MEMORY))
        raise ValueError(f"{cpu_key} is {cpu}: Fargate allows {cpus} CPU units (1024 are one vCPU)")
    if memory not in allowed:
        sizes = ", ".join(map(str, allowed))
        raise ValueError(f"{memory_key} is {memory}: with {cpu_key} {cpu} Fargate allows {sizes} MiB")

"""What holds data: database, Redis, and how the app uses them."""

from __future__ import annotations

from panels import board, lines, number

STORES = [
    lines(
        "Connections of the database",
        "By state, against what it allows",
        "short",
        ('sum by (state) (pg_stat_activity_count{stack="$stack"}) > 0', "{{state}}"),
        ('max(pg_settings_max_connections{stack="$stack"})', "at most"),
    ),
    lines(
        "Transactions",
        "A second, by database",
        "ops",
        ('sum by (datname) (rate(pg_stat_database_xact_commit{stack="$stack"}[$__rate_interval])) > 0', "{{datname}}"),
        ('sum(rate(pg_stat_database_xact_rollback{stack="$stack"}[$__rate_interval]))', "rolled back"),
    ),
    lines(
        "Blocks from the database's memory",
        "Share of what it read that it did not have to fetch; under 95 % it wants more memory",
        "percentunit",
        (
            'sum(rate(pg_stat_database_blks_hit{stack="$stack"}[$__rate_interval])) / ('
            'sum(rate(pg_stat_database_blks_hit{stack="$stack"}[$__rate_interval]))'
            ' + sum(rate(pg_stat_database_blks_read{stack="$stack"}[$__rate_interval])))',
            "from memory",
        ),
    ),
    lines(
        "Longest transaction",
        "One that lasts holds its locks, and keeps the database from cleaning up",
        "s",
        ('max by (datname) (pg_stat_activity_max_tx_duration{stack="$stack"})', "{{datname}}"),
    ),
    lines(
        "Locks",
        "Held, by kind: an `accessexclusivelock` lets nobody at its table",
        "short",
        ('sum by (mode) (pg_locks_count{stack="$stack"}) > 0', "{{mode}}"),
        stacked=True,
    ),
    lines(
        "Memory of Redis",
        "Used, against what it may use",
        "bytes",
        ('sum(redis_memory_used_bytes{stack="$stack"})', "used"),
        ('sum(redis_memory_max_bytes{stack="$stack"}) > 0', "at most"),
    ),
    lines(
        "Keys of Redis",
        "A second: asked for and there or not, at their end, thrown out before it",
        "ops",
        ('sum(rate(redis_keyspace_hits_total{stack="$stack"}[$__rate_interval]))', "there"),
        ('sum(rate(redis_keyspace_misses_total{stack="$stack"}[$__rate_interval]))', "not there"),
        ('sum(rate(redis_expired_keys_total{stack="$stack"}[$__rate_interval]))', "expired"),
        ('sum(rate(redis_evicted_keys_total{stack="$stack"}[$__rate_interval]))', "evicted"),
    ),
    lines("Clients of Redis", "Connected", "short", ('sum(redis_connected_clients{stack="$stack"})', "clients")),
]
DATA = board(
    "data",
    "Data",
    number(
        "Cache hits",
        "Share of the cacheable answers that came from the cache",
        "percentunit",
        '(sum(rate(cache_lookups_total{stack="$stack", result="hit"}[$__rate_interval])) or vector(0))'
        ' / sum(rate(cache_lookups_total{stack="$stack"}[$__rate_interval]))',
    ),
    number(
        "Database connections",
        "Share of the pools that is in use",
        "percentunit",
        'sum(db_connections_in_use{stack="$stack"}) / sum(db_connections_max{stack="$stack"})',
    ),
    lines(
        "Database connections by task",
        "Checked out, against what the pools may open",
        "short",
        ('sum by (process, instance) (db_connections_in_use{stack="$stack"})', "{{process}} {{instance}}"),
        ('max(sum by (instance) (db_connections_max{stack="$stack"}))', "at most"),
    ),
    lines(
        "Cache lookups",
        "By result: `unavailable` is a cache that does not answer",
        "ops",
        ('sum by (result) (rate(cache_lookups_total{stack="$stack"}[$__rate_interval]))', "{{result}}"),
        stacked=True,
    ),
    lines(
        "Rate limit",
        "Checks by result: refused is a 429, unavailable counted without Redis",
        "ops",
        ('sum by (result) (rate(rate_limit_checks_total{stack="$stack"}[$__rate_interval]))', "{{result}}"),
        stacked=True,
    ),
    *STORES,
    by_process=False,
)

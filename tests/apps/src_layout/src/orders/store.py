"""The table of orders."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

TABLE = "CREATE TABLE IF NOT EXISTS orders (number serial PRIMARY KEY, item text NOT NULL)"
LOCK = 7


@asynccontextmanager
async def pool() -> AsyncIterator[asyncpg.Pool]:
    size = int(os.getenv("PG_POOL_SIZE", "5"))
    async with asyncpg.create_pool(os.environ["PG_DSN"], min_size=1, max_size=size) as made:
        async with made.acquire() as connection, connection.transaction():
            # One process at a time: CREATE TABLE IF NOT EXISTS fails where two try it at once.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(TABLE)
        yield made


async def add(pool: asyncpg.Pool, item: str) -> int:
    return await pool.fetchval("INSERT INTO orders (item) VALUES ($1) RETURNING number", item)

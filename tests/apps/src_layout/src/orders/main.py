"""Orders with their invoices: Postgres by asyncpg alone, files in S3."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

from orders import invoices, store
from orders.health import router as health


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with store.pool() as pool:
        app.state.pool = pool
        yield


def create_app() -> FastAPI:
    app = FastAPI(title="Orders", lifespan=lifespan)
    app.include_router(health, prefix="/internal")

    @app.post("/orders", status_code=201)
    async def add(item: str) -> int:
        return await store.add(app.state.pool, item)

    @app.get("/orders/{number}/invoice")
    def invoice(number: int) -> str:
        try:
            return invoices.link(number)
        except KeyError:
            raise HTTPException(404) from None

    return app


app = create_app()

"""Sends mail, and remembers it."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from mailer.config import settings

engine = create_async_engine(settings.database_url, pool_size=settings.database_pool_size, max_overflow=0)
app: FastAPI = FastAPI(title="Mailer")


async def ready() -> PlainTextResponse:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return PlainTextResponse(settings.sender)


app.add_api_route("/readyz", ready)

"""Accounts in Postgres."""

from fastapi import FastAPI

from accounts.api import api
from accounts.settings import settings

app = FastAPI(title="Accounts")
app.include_router(api, prefix=settings.API_PREFIX)

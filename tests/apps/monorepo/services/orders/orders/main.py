"""Orders, of two services of a repository."""

import os

from fastapi import FastAPI

app = FastAPI(title="Orders")
BILLING = os.environ["BILLING_URL"]


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.get("/orders")
def orders() -> dict[str, str]:
    return {"billing": BILLING}

"""Billing, of two services of a repository."""

import os

from fastapi import FastAPI

app = FastAPI(title="Billing")
STRIPE = os.environ["STRIPE_API_KEY"]


@app.get("/status")
def status() -> dict[str, bool]:
    return {"paid_by_card": bool(STRIPE)}

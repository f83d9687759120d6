"""A shop with jobs."""

from fastapi import FastAPI

from shop.database import orders
from shop.tasks import report

api = FastAPI(title="Shop")


@api.get("/livez", include_in_schema=False)
def livez() -> str:
    return "ok"


@api.get("/orders")
def read() -> list[str]:
    return orders()


@api.post("/reports", status_code=202)
def start() -> str:
    return str(report.delay().id)

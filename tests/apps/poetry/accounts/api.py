"""The routes, below a prefix that the settings say."""

from fastapi import APIRouter
from sqlmodel import Session, select

from accounts.models import Account, engine

utils = APIRouter(prefix="/utils")
accounts = APIRouter(prefix="/accounts")
api = APIRouter()


@utils.get("/health-check/")
def health_check() -> bool:
    return True


@accounts.get("/")
def read() -> list[Account]:
    with Session(engine) as session:
        return list(session.exec(select(Account)))


api.include_router(utils)
api.include_router(accounts)

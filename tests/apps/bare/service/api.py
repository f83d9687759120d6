"""Small talk: no store, no settings."""

from fastapi import FastAPI

application = FastAPI(title="Small talk")


@application.get("/ping")
def ping() -> dict[str, str]:
    return {"answer": "pong"}


@application.get("/greet/{name}")
def greet(name: str) -> dict[str, str]:
    return {"greeting": f"Hello, {name}"}

"""A catalog without a path that a load balancer could ask."""

from fastapi import FastAPI

BOOKS = {"1": "Middlemarch", "2": "Walden"}


def create_app() -> FastAPI:
    service = FastAPI(
        title="Catalog",
        version="1.0.0",
    )

    @service.get("/books/{number}")
    def book(number: str) -> str:
        return BOOKS[number]

    return service


app = create_app()

"""Notes in a table, by SQLAlchemy's ORM without async."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from notes.database import Note, create_tables, session

SIGNING_KEY = os.environ["NOTES_KEY"]
Database = Annotated[Session, Depends(session)]


class Body(BaseModel):
    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    create_tables()
    yield


app = FastAPI(title=os.environ.get("TITLE", "Notes"), lifespan=lifespan)


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.get("/healthz/db")
def database(db: Database) -> str:
    db.execute(text("SELECT 1"))
    return "ok"


@app.post("/notes", status_code=201)
def add(body: Body, db: Database) -> int:
    note = Note(text=body.text)
    db.add(note)
    db.commit()
    return note.id


@app.get("/notes")
def notes(db: Database) -> list[str]:
    return list(db.scalars(select(Note.text).order_by(Note.id)))

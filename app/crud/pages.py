"""Lists in the order of creation."""

from typing import Any

from sqlalchemy import Select, func, select, tuple_

from app.core.db.database import Database
from app.models import Identified
from app.schemas.base import Page, PageQuery, T, decode_cursor


async def read_page(
    database: Database,
    page: type[Page[T]],
    statement: Select[*tuple[Any, ...]],
    model: type[Identified],
    query: PageQuery,
    *,
    newest_first: bool = False,
) -> Page[T]:
    """The page of the statement's rows that the query asks for. `model` is the table that they are sorted by."""
    order, after = [model.created_at, model.id], decode_cursor(query.cursor)
    remaining = statement
    if after is not None:
        remaining = statement.where(tuple_(*order) < after if newest_first else tuple_(*order) > after)
    sort = [column.desc() for column in order] if newest_first else order
    rows = await database.reader.rows(remaining.order_by(*sort).limit(query.limit))
    total = None
    if query.count:
        total = await database.reader.value(select(func.count().label("total")).select_from(statement.subquery()))
    return page.of(rows, limit=query.limit, total=total)

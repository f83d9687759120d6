"""The table of orders."""

from sqlalchemy import create_engine, text

from shop.settings import get_settings

url = get_settings().database_url.get_secret_value()
engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True)


def orders() -> list[str]:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS orders (item text)"))
        return list(connection.scalars(text("SELECT item FROM orders")))

"""The first account, for a database that is new."""

from sqlmodel import Session, select

from accounts.models import Account, engine
from accounts.settings import settings


def main() -> None:
    with Session(engine) as session:
        if session.exec(select(Account)).first() is None:
            session.add(Account(name=settings.FIRST_SUPERUSER))
            session.commit()


if __name__ == "__main__":
    main()

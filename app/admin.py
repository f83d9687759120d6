"""`python -m app.admin create [ADDRESS]`: makes an admin, the first one above all.

The password is asked for, or read from standard input where that is no terminal; it is never an argument, which every
user of the machine could see. An account that has the address already becomes an admin's and keeps its password.
"""

import argparse
import asyncio
import getpass
import sys
from contextlib import aclosing, closing

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from app.core.db.database import Database
from app.core.observability.logging import first_line
from app.core.security.normalization import normal_address
from app.core.security.passwords import Passwords
from app.core.settings import Settings, get_settings
from app.crud import users as user_crud
from app.models import User
from app.schemas.user import UserCreate


async def create(settings: Settings, address: str) -> str:
    """Make the account with this address an admin's, or a new one; what was done, in one sentence."""
    async with aclosing(Database(settings)) as database:
        async with database.unit() as unit:
            account = await user_crud.by_email(unit.session, address)
            if account is not None:
                account.is_admin = account.is_active = True
                account.token_version += 1  # tokens say whose they are
                return f"{address} is an admin now, and has to log in again."
        name = address.split("@", maxsplit=1)[0]
        data = UserCreate.model_validate({"email": address, "display_name": name, "password": _ask_password()})
        with closing(Passwords()) as passwords:
            hashed = await passwords.hash(data.password.get_secret_value())
        async with database.unit() as unit:
            admin = User(email=data.email, display_name=data.display_name, password_hash=hashed, is_admin=True)
            unit.session.add(admin)
        return f"Made {address}, an admin."


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password, 12 characters or more: ")
    if getpass.getpass("Once more: ") != password:
        raise SystemExit("The two differ; nothing was made.")
    return password


def main() -> int:
    """Read the arguments, do it, and say what was done."""
    parser = argparse.ArgumentParser(prog="python -m app.admin", description=__doc__)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("create", help="make an admin; asks for the password")
    making.add_argument("address", nargs="?", help="the e-mail address; asked for when it is left out")
    address = parser.parse_args().address
    try:
        print(asyncio.run(create(get_settings(), normal_address(address or input("E-mail address: ")))))  # noqa: T201
    except ValidationError as error:
        problem = error.errors()[0]
        print(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}; nothing was made.", file=sys.stderr)  # noqa: T201
        return 1
    except (ValueError, DBAPIError, OSError) as error:
        print(f"{first_line(error)}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

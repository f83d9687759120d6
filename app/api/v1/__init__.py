"""Version 1 of the API. Its routers are included in the app one by one: each level of routers costs a match."""

from app.api.v1 import auth, exports, items, users

ROUTERS = [exports.router, items.router, users.router, auth.router]

"""A counter in Redis: one file, and the packages beside it."""

import os

import redis
from fastapi import FastAPI

app = FastAPI(title="Counter")
counters = redis.Redis.from_url(os.getenv("REDIS_URL", "redis://localhost:6379/0"))


@app.get("/health")
def health():
    return {"status": "ok"}


@app.post("/count/{name}")
def count(name: str):
    return {"count": counters.incr(name)}


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=8080)

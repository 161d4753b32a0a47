"""FastAPI with uvicorn: the endpoint runs in FastAPI's own thread pool."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from benchmarks.serving_peers.model import Model

app = FastAPI()
model = Model()


@app.post("/predict")
def predict(body: dict[str, Any]) -> dict[str, Any]:
    return {"predictions": model.predict(body["instances"])}

"""Operator endpoints: whether it is alive and ready, what answers, how it does."""

from dataclasses import asdict

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from convlab import __version__
from convlab.serving.answers import Status, Version
from convlab.serving.metrics import Metrics
from convlab.serving.routes.refusals import refusals
from convlab.serving.service import Service


def add(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Add `GET /healthz`, `/readyz`, `/version` and `/metrics`."""

    @app.get("/healthz", tags=["operation"], response_description="Alive")
    async def healthz() -> Status:
        """The process is alive."""
        return Status(status="alive")

    @app.get("/readyz", tags=["operation"], response_description="Ready", responses=refusals(503))
    async def readyz() -> Status:
        """The model is loaded and has answered once."""
        service.ready()
        return Status(status="ready")

    @app.get("/version", tags=["operation"], response_description="Code and model", responses=refusals(503))
    async def version() -> Version:
        """Which code and which model answer."""
        model = service.ready()
        return Version(
            convlab=__version__,
            model=model.name,
            num_classes=len(model.classes),
            **asdict(model.origin),
            test=model.measured,
        )

    @app.get(
        "/metrics",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
    )
    async def prometheus() -> Response:
        """Requests, times, batch sizes, memory."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

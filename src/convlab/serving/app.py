"""The application: a model behind HTTP, with a page for people, JSON for programs, operator endpoints."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from convlab import __version__
from convlab.serving.body import Limits
from convlab.serving.front import Front
from convlab.serving.metrics import Metrics
from convlab.serving.routes import images, operation, pages
from convlab.serving.served import Served
from convlab.serving.service import Service


class _Application(FastAPI):
    """FastAPI's, whose description names the classes once the model is loaded."""

    service: Service

    def openapi(self) -> dict[str, Any]:
        api = super().openapi()
        if self.service.model is not None:
            images.name_classes(api, self.service.model.classes)
        return api


def create_app(
    load: Callable[[], Served],
    limits: Limits,
    unsure_below: float,
    hosts: Sequence[str],
    ready: Callable[[], None] = lambda: None,
    failed: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application; `load` is called in the background when it starts, then `ready` or `failed`.

    unsure_below: an answer of less probability is said to be unsure.
    hosts: what the Host header may say ("*": anything). A page of another site that has its name resolved to
    this machine (DNS rebinding) is refused by it.
    """
    metrics = Metrics()
    service = Service(load, metrics, unsure_below)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(ready, failed):
            yield

    app = _Application(
        title="convlab",
        version=__version__,
        summary="Images to classes by a trained network.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from another machine
        redoc_url=None,
    )
    app.service = app.state.service = service
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)
    app.add_middleware(Front, metrics=metrics)
    app.add_exception_handler(RequestValidationError, _in_words)
    images.add(app, service, limits)
    operation.add(app, service, metrics)
    pages.add(app, service, limits)
    return app


async def _in_words(_: Request, error: Exception) -> JSONResponse:
    """A wrong parameter, as every other refusal says what is wrong."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"{each['loc'][-1]}={each.get('input')}: {each['msg']}" for each in error.errors()]
    return JSONResponse({"detail": "; ".join(wrong)}, 422)

"""The routes: a page for people, JSON for programs, and what who runs the server asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.trustedhost import TrustedHostMiddleware

from convlab import __version__
from convlab.base import templates
from convlab.serving import body
from convlab.serving.answers import Error, Explanation, Prediction, Status, Version
from convlab.serving.front import Front
from convlab.serving.metrics import Metrics
from convlab.serving.served import Served
from convlab.serving.service import Service

HERE = Path(__file__).parent
MAX_TOP = 1000
T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Of one request with an image: its body's size, and the time until its answer."""

    max_bytes: int = 10_000_000
    seconds: float = 10.0


def create_app(
    load: Callable[[], Served],
    limits: Limits,
    hosts: Sequence[str],
    ready: Callable[[], None] = lambda: None,
    failed: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application; `load` is called in the background when it starts, then `ready` or `failed`.

    hosts: what the Host header may say ("*": anything). A page of another site that has its name resolved to
    this machine (DNS rebinding) is refused by it.
    """
    metrics = Metrics()
    service = Service(load, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(ready, failed):
            yield

    app = FastAPI(
        title="convlab",
        version=__version__,
        summary="Images to classes by a trained network.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from another machine
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)
    app.add_middleware(Front, metrics=metrics)
    app.add_exception_handler(RequestValidationError, _in_words)
    _add_images(app, service, limits)
    _add_operations(app, service, metrics)
    _add_pages(app, service, limits)
    return app


def _add_images(app: FastAPI, service: Service, limits: Limits) -> None:
    """The routes that take an image as the request's body."""

    @app.post(
        "/predict",
        tags=["images"],
        response_description="Class names and probabilities",
        responses=_refusals(400, 408, 413, 415, 422, 503, 504),
        openapi_extra=_IMAGE,
    )
    async def predict(
        request: Request, top: Annotated[int, Query(ge=1, le=MAX_TOP, description="so many classes")] = 5
    ) -> Prediction:
        """The most probable classes of an image: JPEG, PNG, BMP, GIF, WebP or TIFF."""
        return await answer(request, lambda content: service.predict(content, top))

    @app.post(
        "/explain",
        tags=["images"],
        response_description="Pictures, and the class that they are about",
        responses=_refusals(400, 408, 413, 415, 422, 501, 503, 504),
        openapi_extra=_IMAGE,
    )
    async def explain(
        request: Request,
        class_name: Annotated[
            str | None, Query(alias="class", description="which is explained; the most probable if left out")
        ] = None,
    ) -> Explanation:
        """What the network saw in an image: its input, Grad-CAM, and the deconvolutional network's view."""
        return await answer(request, lambda content: service.explain(content, class_name))

    async def answer(request: Request, work: Callable[[bytes], Awaitable[T]]) -> T:
        deadline = asyncio.get_running_loop().time() + limits.seconds
        try:
            with service.place():
                content = await body.read(request, limits.max_bytes, deadline)
                async with asyncio.timeout_at(deadline):
                    return await work(content)
        except TimeoutError:
            raise HTTPException(504, f"no answer within {limits.seconds:g} s. Try again.") from None
        except HTTPException as error:
            if error.status_code != 408:
                await body.discard(request, limits.max_bytes, deadline)
            raise


def _add_operations(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """What who runs the server asks."""

    @app.get("/healthz", tags=["operation"], response_description="Alive")
    async def healthz() -> Status:
        """The process is alive."""
        return Status(status="alive")

    @app.get("/readyz", tags=["operation"], response_description="Ready", responses=_refusals(503))
    async def readyz() -> Status:
        """The model is loaded and has answered once."""
        service.ready()
        return Status(status="ready")

    @app.get("/version", tags=["operation"], response_description="Code and model", responses=_refusals(503))
    async def version() -> Version:
        """Which code and which model answer."""
        model = service.ready()
        return Version(
            convlab=__version__,
            model=model.name,
            num_classes=len(model.classes),
            **asdict(model.origin),
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


def _add_pages(app: FastAPI, service: Service, limits: Limits) -> None:
    environment = templates.environment(HERE)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "ensure_ascii": False}

    def render(name: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(environment.get_template(name).render(version=__version__, **values))

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        if service.model is None:
            return render("starting.html.jinja")
        preprocessing = service.model.preprocessing
        return render(
            "page.html.jinja",
            model=service.model,
            grey=preprocessing.channels == 1,
            size=preprocessing.size,
            max_bytes=limits.max_bytes,
        )

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return render("docs.html.jinja", api=app.openapi(), address=str(request.base_url).rstrip("/"))

    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


async def _in_words(_: Request, error: Exception) -> JSONResponse:
    """A wrong parameter, as every other refusal says what is wrong."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"{each['loc'][-1]}={each.get('input')}: {each['msg']}" for each in error.errors()]
    return JSONResponse({"detail": "; ".join(wrong)}, 422)


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error, "description": _REFUSALS[status]} for status in statuses}


_REFUSALS = {
    400: "The body is empty or incomplete",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The Content-Type is that of no image",
    422: "Not a usable image (of no known kind, damaged, too many pixels), or a wrong parameter",
    501: "This kind of model can't be explained",
    503: "Starting, or too many requests at once: see Retry-After",
    504: "The answer was not found in time",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_IMAGE = {
    "requestBody": {
        "required": True,
        "description": "An image file's bytes",
        "content": {"image/*": _BINARY, body.OCTETS: _BINARY},
    }
}

"""The page for people, and the API's description."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from convlab import __version__
from convlab.base import templates
from convlab.serving.body import Limits
from convlab.serving.service import Service

HERE = Path(__file__).parents[1]


def add(app: FastAPI, service: Service, limits: Limits) -> None:
    """Add `GET /`, `/docs` and what they load."""
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

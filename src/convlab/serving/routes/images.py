"""The routes that take an image as the request's body."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, HTTPException, Query, Request
from pydantic.json_schema import SkipJsonSchema

from convlab.serving import body
from convlab.serving.answers import Explanation, Prediction
from convlab.serving.body import Limits
from convlab.serving.routes.refusals import refusals
from convlab.serving.service import Service

MAX_TOP = 1000
T = TypeVar("T")


def add(app: FastAPI, service: Service, limits: Limits) -> None:
    """Add `POST /predict` and `POST /explain`."""
    image = _described(limits)

    @app.post(
        "/predict",
        tags=["images"],
        response_description="Class names and probabilities",
        responses=refusals(400, 408, 413, 415, 422, 503, 504),
        openapi_extra=image,
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
        responses=refusals(400, 408, 413, 415, 422, 501, 503, 504),
        openapi_extra=image,
    )
    async def explain(
        request: Request,
        class_name: Annotated[
            str | SkipJsonSchema[None],  # left out, which is not the same as null
            Query(alias="class", description="which is explained; the most probable if left out"),
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


def name_classes(api: dict[str, Any], classes: list[str]) -> None:
    """Put the network's classes into the description `api`: `/explain` takes no others."""
    for parameter in api["paths"]["/explain"]["post"]["parameters"]:
        if parameter["name"] == "class":
            parameter["schema"]["enum"] = classes


def _described(limits: Limits) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary", "minLength": 1, "maxLength": limits.max_bytes}
    return {
        "requestBody": {
            "required": True,
            "description": "An image file's bytes",
            "content": {kind: {"schema": binary} for kind in ("image/*", body.OCTETS)},
        }
    }

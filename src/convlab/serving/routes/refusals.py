"""What a refusal means, for the description of the API."""

from typing import Any

from convlab.serving.answers import Error

REFUSALS = {
    400: "The body is empty or incomplete",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The Content-Type is that of no image",
    422: "Not a usable image (of no known kind, damaged, too many pixels), or a wrong parameter",
    501: "This kind of model can't be explained",
    503: "Starting, or too many requests at once: see Retry-After",
    504: "The answer was not found in time",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, as FastAPI takes them."""
    return {status: {"model": Error, "description": REFUSALS[status]} for status in statuses}

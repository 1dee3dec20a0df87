"""An image as a request's body, read within limits of kind, size and time."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

OCTETS = "application/octet-stream"
DISCARDED = 4  # times the limit: so much of a body that is refused is still taken in, to be thrown away


@dataclass(frozen=True)
class Limits:
    """Of one request with an image: its body's size, and the time until its answer."""

    max_bytes: int = 10_000_000
    seconds: float = 10.0


async def read(request: Request, max_bytes: int, deadline: float) -> bytes:
    """The body, or HTTPException: 415 (kind), 413 (size, by header or by count), 408 (time), 400 (empty).

    deadline: on the event loop's clock. Never more than `max_bytes` and a block are held.
    """
    _check_kind(request.headers.get("content-type", OCTETS))
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout_at(deadline):
            async for block in request.stream():
                body += block
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise HTTPException(
            408, f"the image did not arrive in time: {len(body):,} bytes so far.", {"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the image did.") from None
    if not body:
        raise HTTPException(400, "the body is empty: send an image file's bytes.")
    return bytes(body)


async def discard(request: Request, max_bytes: int, deadline: float) -> None:
    """Take in the rest of a refused body: a client in the middle of sending would miss the answer.

    Not if it waits for leave to send (`Expect: 100-continue`), and not without end.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    discarded = 0
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it has arrived whole
        async with asyncio.timeout_at(deadline):
            async for block in request.stream():
                discarded += len(block)
                if discarded > DISCARDED * max_bytes:
                    return


def _check_kind(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != OCTETS and not kind.startswith("image/"):
        raise HTTPException(
            415,
            f"Content-Type is {kind}: send an image file's bytes as the body, with its own type, "
            f"such as image/jpeg, or with {OCTETS}.",
        )


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the image is larger than {max_bytes:,} bytes, the limit of this server.")

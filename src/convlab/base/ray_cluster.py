"""Ray, the cluster that others may have started: connect to it, or start one here."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir

CARRIED = ("AWS_", "AZURE_", "CONVLAB_", "GOOGLE_")  # what actors need


@contextmanager
def connected(address: str | None, init: Mapping[str, Any]) -> Iterator[None]:
    """The block runs connected to `address` or RAY_ADDRESS, else to a cluster of this machine's own.

    init: further arguments of `ray.init`. Raises ConvlabError where there is no Ray, or no cluster.
    """
    if find_spec("ray") is None:
        raise ConvlabError("Ray is not installed: pip install 'convlab[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    place = address or os.environ.get("RAY_ADDRESS") or "local"  # Ray's own word for a new one, here
    logging.getLogger("ray").setLevel(logging.ERROR)  # else it tells of tokens that a local one has by itself
    try:
        ray.init(place, logging_level="error", **init)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConvlabError(f"no Ray cluster at {place}: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        ray.shutdown()


def resources() -> str:
    """What the cluster has, and what of it is free, in words."""
    import ray

    there, free = ray.cluster_resources(), ray.available_resources()
    nodes = sum(node["Alive"] for node in ray.nodes())
    kinds = [
        f"{free.get(kind, 0):g} of {there[kind]:g} {kind}s free" for kind in ("CPU", "GPU") if there.get(kind)
    ]
    return f"{nodes} node{'s' * (nodes != 1)}, {', '.join(kinds) or 'no CPU'}"


def environment() -> dict[str, str]:
    """The variables that processes on other nodes need to find the same project, caches and stores."""
    carried = {name: value for name, value in os.environ.items() if name.startswith(CARRIED)}
    return carried | {"CONVLAB_PROJECT": str(project_dir())}


def told(error: BaseException) -> BaseException:
    """The ConvlabError that an actor raised, out of Ray's wrapping, or one about Ray; else `error`."""
    from ray.exceptions import RayError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConvlabError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    if isinstance(error, RayError):
        last = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
        return ConvlabError(f"the Ray cluster gave up: {last}. The same command resumes.")
    return error

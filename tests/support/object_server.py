"""An object store on this machine: moto's, which holds objects in memory and enforces conditional writes."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from unittest.mock import patch

import requests

_numbers = count()


@contextmanager
def object_server() -> Iterator[dict[str, str]]:
    """The variables under which programs find it and its credentials."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        variables = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-store",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with patch.dict(os.environ, variables):
            yield variables
    finally:
        server.stop()


def new_bucket(variables: dict[str, str]) -> str:
    """The address of an empty one."""
    name = f"bucket{next(_numbers)}-{os.getpid()}"
    requests.put(f"{variables['AWS_ENDPOINT_URL']}/{name}", timeout=10).raise_for_status()
    return f"s3://{name}"

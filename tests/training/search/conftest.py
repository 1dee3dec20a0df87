"""A PostgreSQL server that the searches' tests share."""

from collections.abc import Iterator

import pytest
from postgresql_server import postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of this session."""
    with postgresql_server() as url:
        yield url

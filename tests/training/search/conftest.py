"""A PostgreSQL server of the tests' own."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of this session; skipped where none is installed."""
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, DEBIAN), os.environ["PATH"]]))
    if found is None:
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    bin_dir = Path(found).resolve().parent
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="convlab-postgresql-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*words: str) -> None:
        subprocess.run(
            [str(bin_dir / words[0]), *words[1:]],
            user=user,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    cluster = str(folder / "cluster")
    run("initdb", "--pgdata", cluster, "--username", "convlab", "--auth", "trust", "--no-sync")
    options = f"-h 127.0.0.1 -p {port} -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "--pgdata", cluster, "--wait", "--log", str(folder / "log"), "--options", options, "start")
    yield f"postgresql://convlab@127.0.0.1:{port}/postgres"
    run("pg_ctl", "--pgdata", cluster, "--wait", "--mode", "immediate", "stop")
    shutil.rmtree(folder)

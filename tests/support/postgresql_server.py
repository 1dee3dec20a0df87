"""A PostgreSQL server of the tests' own, which asks for a password."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
PASSWORD = "a-secret-of-the-database"


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of an empty database; the test is skipped where no server is installed."""
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, DEBIAN), os.environ["PATH"]]))
    if found is None:
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    bin_dir = Path(found).resolve().parent
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="convlab-postgresql-"))
    password = folder / "password"
    password.write_text(PASSWORD)
    if user:
        shutil.chown(folder, user)
        shutil.chown(password, user)
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

    cluster = ["--pgdata", str(folder / "cluster")]
    run(
        "initdb",
        *cluster,
        "--username",
        "convlab",
        "--auth",
        "scram-sha-256",
        "--pwfile",
        str(password),
        "--no-sync",
    )
    options = f"-h 127.0.0.1 -p {port} -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", *cluster, "--wait", "--log", str(folder / "log"), "--options", options, "start")
    try:
        yield f"postgresql://convlab:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", *cluster, "--wait", "--mode", "immediate", "stop")
        shutil.rmtree(folder)

"""`convlab serve` in a process of its own, and its application in a thread of this one."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvicorn

from convlab.serving.app import create_app
from convlab.serving.body import Limits
from convlab.serving.served import Served


@dataclass(frozen=True)
class Server:
    url: str
    process: "subprocess.Popen[str]"

    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def serving(project: Path, *arguments: str) -> Iterator[Server]:
    """A server on a free port, from when its model has been loaded."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "convlab", "serve", "--port", "0", *arguments],
        cwd=project,
        env=os.environ | {"CONVLAB_PROJECT": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"http://\S+", line):
            break
    else:
        raise AssertionError("".join(lines))
    reader = threading.Thread(target=process.stdout.read)  # so that it never waits for a reader
    reader.start()
    try:
        yield Server(found[0], process)
    finally:
        process.terminate()
        process.wait(30)
        reader.join()
        process.stdout.close()


@contextmanager
def running(load: Callable[[], Served], seconds: float = 20.0) -> Iterator[str]:
    """The application in a thread of this process; its address."""
    app = create_app(load, Limits(1_000_000, seconds), 0.5, ["127.0.0.1"])
    config = uvicorn.Config(app, port=0, log_level="warning", ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def until(true: Callable[[], bool]) -> None:
    """Wait until it is so, half a minute at most."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")

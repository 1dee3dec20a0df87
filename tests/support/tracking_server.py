"""A real MLflow server on this machine, which can be killed, held up and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


class TrackingServer:
    """With a database and files of its own in `folder`, unless others are given; not started yet."""

    def __init__(self, folder: Path, database: str | None = None, artifacts: str | None = None) -> None:
        self.folder = folder
        self.database = database or f"sqlite:///{folder}/server.db"
        self.artifacts = artifacts or str(folder / "artifacts")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        places = ["--artifacts-destination", self.artifacts]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        log = self.log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *address, *places],
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_BACKEND_STORE_URI": self.database},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        for _ in range(1800):
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).read()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"{self.url} does not answer")

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def hold(self) -> None:
        """From now on it takes connections and never answers."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, what)

"""Browse the runs in MLflow's web interface.

usage: convlab ui [--port 5000] [--host 127.0.0.1]

Opens MLflow on the project's own database, or on what MLFLOW_TRACKING_URI names, and prints the address.
Only this machine can reach it, unless --host says otherwise. Ctrl-C ends it.

examples:
  convlab ui
  convlab ui --port 5001
"""

import argparse
import os
import socket
import subprocess
import sys

from convlab.base.addresses import without_passwords
from convlab.base.console import console
from convlab.base.errors import ConvlabError

EXPERIMENT = "convlab"  # where conf/logger/mlflow.yaml puts the runs
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # for language models: nothing here asks for it
    "PYTHONWARNINGS": "ignore",  # MLflow's, of the packages that it uses
}
LOCAL = ("127.0.0.1", "localhost", "::1")
REASSURANCE = "[MLflow] Security middleware enabled"  # how to let others in, which --host says, too


def run(args: list[str]) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="convlab ui", add_help=False)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args(args)

    from convlab.tracking import store

    _must_be_free(options.host, options.port)
    server = f"http://{options.host}:{options.port}"
    table = store.table_url(server, EXPERIMENT)  # makes the database: an empty page is better than none
    where = without_passwords(store.uri())
    console.print(f"MLflow on {where}: {server}  (Ctrl-C ends it)", markup=False, soft_wrap=True)
    console.print(f"Runs, with the columns that matter: {table}", markup=False, soft_wrap=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", options.host, "--port", str(options.port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level error"]
    # where its password is in no list of processes
    environment = os.environ | QUIET | {"MLFLOW_BACKEND_STORE_URI": store.uri()}
    environment["MLFLOW_REGISTRY_STORE_URI"] = store.uri()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr or ():  # nothing, unless something is wrong
                if options.host not in LOCAL or not line.startswith(REASSURANCE):
                    print(line, end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            process.terminate()
            return 0
    return process.returncode


def _must_be_free(host: str, port: int) -> None:
    """Raise ConvlabError now, before anybody is told to look there."""
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConvlabError(
            f"--port {port}: {host} can't be listened on: {reason}. Take another, or end what has it."
        ) from None

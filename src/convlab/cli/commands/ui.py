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
import subprocess
import sys

from convlab.base.console import console

EXPERIMENT = "convlab"  # where conf/logger/mlflow.yaml puts the runs


def run(args: list[str]) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="convlab ui", add_help=False)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args(args)

    from convlab.tracking import store

    server = f"http://{options.host}:{options.port}"
    table = store.table_url(server, EXPERIMENT)  # makes the database: an empty page is better than none
    console.print(f"MLflow on {store.uri()}: {server}  (Ctrl-C ends it)", markup=False, soft_wrap=True)
    console.print(f"Runs, with the columns that matter: {table}", markup=False, soft_wrap=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store.uri()]
    command += ["--host", options.host, "--port", str(options.port), "--workers", "1"]
    try:
        return subprocess.run(command, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}).returncode
    except KeyboardInterrupt:
        return 0

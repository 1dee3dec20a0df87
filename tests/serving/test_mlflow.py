"""`mlflow models serve` answers with the same champion."""

import base64
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import requests
from sample_runs import copy_runs

from convlab.cli.commands import promote
from convlab.tracking import store


@pytest.mark.slow
def test_mlflow_serves_the_champion(project, trained, digits, expected):
    copy_runs(trained, project, "lenet5")
    assert promote.run(["lenet5"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", "models:/convlab-digits@champion", "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_TRACKING_URI": store.uri()}
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(f"{url}/ping", server)
            images = [[base64.b64encode(content).decode()] for content in digits]
            asked = {"dataframe_split": {"columns": ["image"], "data": images}}
            answer = requests.post(f"{url}/invocations", json=asked, timeout=60).json()["predictions"]
        finally:
            os.killpg(server.pid, 15)
    found = np.array([list(each["probabilities"].values()) for each in answer])
    assert np.abs(found - expected).max() < 1e-5
    assert [each["class"] for each in answer] == [str(index) for index in expected.argmax(1)]


def wait_until_it_answers(url: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(240):
        assert server.poll() is None
        try:
            if requests.get(url, timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")

"""docs/how-to/cluster.md: three commands from a local project to the same project on a Ray cluster."""

import json
import os
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: make test-scale"),
]


def test_the_commands_of_the_page(convlab, project, monkeypatch):
    """On a cluster that Ray's own command starts and that this test ends."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:  # of clusters of other tests
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(project))  # where a token of the user's may lie
    ray = Path(sys.executable).with_name("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    place = ("--node-ip-address=127.0.0.1", f"--port={address.split(':')[1]}", "--num-cpus=2")
    quiet = ("--include-dashboard=false", "--disable-usage-stats", "--block")
    head = subprocess.Popen([ray, "start", "--head", *place, *quiet], stdout=subprocess.DEVNULL)
    try:
        wait_for(address)
        small = ("data=patches", "backbone=resnet18_random", "backbone.runtime=torch")
        done = convlab("features", *small, "engine=ray", f"engine.address={address}")
        assert "engine: ray, 1 node, 2 of 2 CPUs free" in done.stdout
        assert "computed 120" in done.stdout
        swept = ("experiment=patches_linear_head", "seed=1,2", "trainer.max_epochs=1")
        done = convlab("train", "-m", *swept, "hydra/launcher=ray", f"hydra.launcher.address={address}")
        jobs = [json.loads(path.read_text()) for path in project.glob("sweeps/*/*/run.json")]
        assert [job["status"] for job in jobs] == ["finished", "finished"], done.stdout
    finally:
        head.terminate()
        head.wait(90)  # it lets running work end first


def wait_for(address: str) -> None:
    host, port = address.split(":")
    for _ in range(300):
        with socket.socket() as asked:
            if asked.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"no Ray at {address}")

"""`convlab serve`: what it says when it can't serve; what it serves is tested in tests/serving/."""

import signal
import socket

import pytest
import requests
from sample_runs import copy_runs
from serving import serving

from convlab.base.errors import ConvlabError
from convlab.cli.commands import promote, serve


def test_the_champion_is_served_until_ctrl_c(project, trained):
    copy_runs(trained, project, "lenet5")
    assert promote.run(["lenet5"]) == 0
    with serving(project) as server:
        version = requests.get(f"{server.url}/version", timeout=10).json()
        assert (version["model"], version["run"], version["data"]) == ("champion", "lenet5", "digits")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0


def test_without_a_champion_it_says_what_makes_one(project):
    with pytest.raises(ConvlabError, match=r"no champion yet.*`convlab promote` makes one"):
        serve.run(["--port", "0"])


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConvlabError, match=rf"port {port} is in use\. Choose another: --port {port + 1}"):
            serve.run(["--port", str(port)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "--port 70000: choose 0 to 65535"),
        (["--host", "nowhere.invalid"], "--host nowhere.invalid"),
        (["--max-mb", "0"], r"--max-mb 0\.0: choose more than 0"),
        (["--timeout", "inf"], "--timeout inf: choose more than 0"),
    ],
)
def test_mistakes_are_explained(words, message):
    with pytest.raises(ConvlabError, match=message):
        serve.run(words)

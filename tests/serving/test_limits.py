"""Busy, starting and slow servers: an application in this process, with a model as slow as the test needs."""

import threading

import numpy as np
import pytest
import requests
import uvicorn
from serving import running, until

from convlab.base.errors import ConvlabError
from convlab.serving import service
from convlab.serving.app import create_app
from convlab.serving.body import Limits
from convlab.serving.served import Served

PNG = {"Content-Type": "image/png"}


class Gated(Served):
    """The LeNet-5, whose predictions wait for `gate`; the first, of the start, does not."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.gate, self.num_batches = threading.Event(), 0

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        self.num_batches += 1
        if self.num_batches > 1:
            self.gate.wait(30)
        return super().probabilities(images)


@pytest.fixture
def model(trained, monkeypatch):
    monkeypatch.setenv("CONVLAB_PROJECT", str(trained))
    gated = Gated("lenet5")
    yield gated
    gated.gate.set()


def status(url, path="/readyz"):
    return requests.get(url + path, timeout=10).status_code


def post(url, content):
    return requests.post(f"{url}/predict", content, headers=PNG, timeout=30)


def test_while_the_model_is_loaded_it_says_so(model, digits):
    gate = threading.Event()

    def load():
        gate.wait(30)
        return model

    with running(load) as url:
        assert (status(url, "/healthz"), status(url), status(url, "/version")) == (200, 503, 503)
        refused = post(url, digits[0])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json()["detail"] == "starting: the model is being loaded."
        assert "The model is being loaded" in requests.get(url, timeout=10).text
        gate.set()
        until(lambda: status(url) == 200)
        model.gate.set()
        assert post(url, digits[0]).status_code == 200


def test_a_model_that_cannot_be_loaded_ends_the_server():
    def load():
        raise ConvlabError("no such model")

    app = create_app(load, Limits(), 0.5, ["127.0.0.1"], failed=lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert str(app.state.service.failure) == "no such model"


def test_one_too_many_is_told_to_come_again(model, digits, monkeypatch):
    monkeypatch.setattr(service, "MAX_IN_FLIGHT", 3)
    with running(lambda: model) as url:
        until(lambda: status(url) == 200)
        answers = []
        clients = [
            threading.Thread(target=lambda: answers.append(post(url, digits[0]).status_code)) for _ in "123"
        ]
        for client in clients:
            client.start()
        until(lambda: "convlab_requests_in_flight 3.0" in requests.get(f"{url}/metrics", timeout=10).text)
        refused = post(url, digits[0])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert "too many requests" in refused.json()["detail"]
        model.gate.set()
        for client in clients:
            client.join(30)
        assert answers == [200, 200, 200]
        assert post(url, digits[0]).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(model, digits):
    with running(lambda: model, seconds=2.0) as url:
        until(lambda: status(url) == 200)
        late = post(url, digits[0])
        assert late.status_code == 504
        assert late.json()["detail"] == "no answer within 2 s. Try again."
        assert "convlab_requests_in_flight 0.0" in requests.get(f"{url}/metrics", timeout=10).text
        model.gate.set()
        assert post(url, digits[0]).status_code == 200


def test_a_failing_batch_is_told_to_all_in_it_and_the_next_goes_on(model, digits, monkeypatch):
    model.gate.set()
    with running(lambda: model) as url:
        until(lambda: status(url) == 200)
        with monkeypatch.context() as patch:
            patch.setattr(model, "probabilities", lambda _: 1 / 0)
            assert post(url, digits[0]).status_code == 500
        assert post(url, digits[0]).status_code == 200

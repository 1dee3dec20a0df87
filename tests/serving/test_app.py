"""The server, as a process, asked over HTTP: every route, and that predictions are what evaluation found."""

import base64
import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from PIL import Image

from convlab import __version__
from convlab.runs import model_file
from convlab.runs.run import Run

PNG = {"Content-Type": "image/png"}


def predicted(server, content, top=10):
    answer = requests.post(f"{server.url}/predict?top={top}", content, headers=PNG, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["classes"]


def in_order(classes):
    """Probabilities n by class, of digits."""
    return np.array([each["probability"] for each in sorted(classes, key=lambda each: each["class"])])


def metric(server, name):
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def test_a_prediction_is_what_was_evaluated(server, digits, expected):
    for content, row in zip(digits[:10], expected, strict=False):
        classes = predicted(server, content)
        assert [each["probability"] for each in classes] == sorted(row_of(classes), reverse=True)
        assert np.abs(in_order(classes) - row).max() < 1e-5
    two = predicted(server, digits[0], top=2)
    assert [each["class"] for each in two] == [str(index) for index in np.argsort(-expected[0])[:2]]


def row_of(classes):
    return [each["probability"] for each in classes]


def test_fifty_clients_at_once_are_all_answered_right_in_batches(server, digits, expected):
    batches, images = metric(server, "convlab_batch_size_count"), metric(server, "convlab_batch_size_sum")
    answered = 'convlab_requests_total{route="/predict",status="200"}'
    before = metric(server, re.escape(answered))
    with ThreadPoolExecutor(50) as clients:
        found = list(clients.map(lambda content: in_order(predicted(server, content)), digits * 2))
    assert np.abs(np.stack(found) - np.tile(expected, (2, 1))).max() < 1e-5
    assert metric(server, "convlab_batch_size_sum") == images + 100
    assert metric(server, "convlab_batch_size_count") < batches + 100
    assert metric(server, re.escape(answered)) == before + 100
    assert metric(server, "convlab_requests_in_flight") == 0


def test_version_says_which_model_answers(server, trained):
    model = model_file.read(trained / "runs" / "lenet5" / "model")
    measured = Run(trained / "runs" / "lenet5").metrics["test"]
    assert requests.get(f"{server.url}/version", timeout=10).json() == {
        "convlab": __version__,
        "model": "lenet5",
        "num_classes": 10,
        "run": "lenet5",
        "data": "digits",
        "data_hash": model.lineage["data_hash"],
        "weights_hash": model.weights_hash,
        "test": {
            "num_images": 500,
            "acc": measured["acc"],
            "acc_low": measured["acc_low"],
            "acc_high": measured["acc_high"],
        },
    }


def test_an_answer_below_the_threshold_or_about_nothing_is_unsure(server, digits, expected):
    def unsure(content):
        return requests.post(f"{server.url}/predict", content, headers=PNG, timeout=30).json()["unsure"]

    surest, least = expected.max(axis=1).argmax(), expected.max(axis=1).argmin()
    assert expected[least].max() < 0.5 < expected[surest].max()
    assert unsure(digits[surest]) is None
    assert unsure(digits[least]) == "no class has a probability of 50 %."
    blank = io.BytesIO()
    Image.new("L", (28, 28), 90).save(blank, "PNG")
    assert unsure(blank.getvalue()) == "the image is of one colour: there is nothing to see in it."


def test_it_says_that_it_lives_and_is_ready(server):
    assert requests.get(f"{server.url}/healthz", timeout=10).json() == {"status": "alive"}
    assert requests.get(f"{server.url}/readyz", timeout=10).json() == {"status": "ready"}


def test_what_the_network_saw(server, trained, digits, expected):
    answer = requests.post(f"{server.url}/explain", digits[3], headers=PNG, timeout=30).json()
    assert answer["class"] == str(expected[3].argmax())
    assert answer["probability"] == pytest.approx(expected[3].max(), abs=1e-5)
    titles = [picture["title"] for picture in answer["pictures"]]
    assert titles == ["The network's input", "Grad-CAM", "Deconvolutional network", "The same, map by map"]
    seen = decoded(answer["pictures"][0]["image"])
    pad = model_file.read(trained / "runs" / "lenet5" / "model").preprocessing["pad"]
    digit = np.asarray(Image.open(io.BytesIO(digits[3])))
    assert np.array_equal(seen, np.pad(digit, pad))


def decoded(address):
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_another_class_has_another_explanation(server, digits, expected):
    best, second = (str(index) for index in np.argsort(-expected[3])[:2])
    first, other = (
        requests.post(f"{server.url}/explain?class={name}", digits[3], headers=PNG, timeout=30).json()
        for name in (best, second)
    )
    assert (first["class"], other["class"]) == (best, second)
    assert other["probability"] == pytest.approx(expected[3][int(second)], abs=1e-5)
    assert first["pictures"][1]["image"] != other["pictures"][1]["image"]  # Grad-CAM is about a class
    assert first["pictures"][2] == other["pictures"][2]  # the maps that react are not


def test_pages_ask_nothing_of_other_machines(server):
    for path in ("/", "/docs", "/static/page.js", "/static/page.css"):
        answer = requests.get(f"{server.url}{path}", timeout=10)
        assert answer.status_code == 200
        assert set(re.findall(r"https?://[^\s/'\"<)]+", answer.text)) <= {server.url}, path
        assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert "trained on digits" in requests.get(server.url, timeout=10).text


def test_openapi_describes_each_route(server):
    api = requests.get(f"{server.url}/openapi.json", timeout=10).json()
    assert set(api["paths"]) == {"/predict", "/explain", "/healthz", "/readyz", "/version", "/metrics"}
    for path in ("/predict", "/explain"):
        route = api["paths"][path]["post"]
        assert set(route["requestBody"]["content"]) == {"image/*", "application/octet-stream"}
        body = {"type": "string", "format": "binary", "minLength": 1, "maxLength": 1_000_000}
        assert route["requestBody"]["content"]["image/*"]["schema"] == body
        assert {"400", "408", "413", "415", "422", "503", "504"} < set(route["responses"])
        refusal = route["responses"]["422"]["content"]["application/json"]["schema"]
        assert refusal == {"$ref": "#/components/schemas/Error"}
    classes = api["components"]["schemas"]["ClassProbability"]
    assert classes["required"] == ["class", "probability"]


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org"])
def test_a_name_that_leads_here_is_refused(server, host):
    assert requests.get(server.url, headers={"Host": host}, timeout=10).status_code == 400
    port = server.url.rpartition(":")[2]
    assert requests.get(server.url, headers={"Host": f"localhost:{port}"}, timeout=10).status_code == 200


def test_paths_that_are_no_route_are_counted_as_one(server):
    for number in range(3):
        assert requests.get(f"{server.url}/nothing{number}", timeout=10).status_code == 404
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    assert 'convlab_requests_total{route="none",status="404"}' in text
    assert "nothing" not in text

"""What /openapi.json allows is taken, up to its limits; one step beyond is refused."""

import pytest
import requests

PATHS = ("/predict", "/explain")
KINDS = {"image/*": ("image/png", "image/*"), "application/octet-stream": ("application/octet-stream",)}


@pytest.fixture
def api(server):
    return requests.get(f"{server.url}/openapi.json", timeout=10).json()["paths"]


def allowed(schema):
    """Values at the limits of `schema`."""
    if "anyOf" in schema:
        return [value for each in schema["anyOf"] for value in allowed(each)]
    if "enum" in schema:
        return schema["enum"]
    return {
        "integer": lambda: [schema["minimum"], schema["maximum"], schema["default"]],
        "string": lambda: ["", "any"],
        "null": lambda: ["null"],  # as a query has it
    }[schema["type"]]()


def refused(schema):
    """Values just beyond them."""
    if schema["type"] == "integer":
        return [schema["minimum"] - 1, schema["maximum"] + 1, schema["minimum"] + 0.5, "any"]
    return ["", "null", f"{schema['enum'][0]} or so"]


def post(server, path, content, kind="image/png", **query):
    return requests.post(
        server.url + path, content, params=query, headers={"Content-Type": kind}, timeout=30
    ).status_code


@pytest.mark.parametrize("path", PATHS)
def test_parameters_to_their_limits(server, api, digits, path):
    for parameter in api[path]["post"]["parameters"]:
        name, schema = parameter["name"], parameter["schema"]
        assert not parameter["required"]
        for value in allowed(schema):
            assert post(server, path, digits[0], **{name: value}) == 200, f"{name}={value}"
        for value in refused(schema):
            assert post(server, path, digits[0], **{name: value}) == 422, f"{name}={value}"


@pytest.mark.parametrize("path", PATHS)
def test_bodies_to_their_limits(server, api, digits, path):
    """What follows a PNG's end is nothing to whoever reads it."""
    body = api[path]["post"]["requestBody"]
    assert body["required"]
    assert set(body["content"]) == set(KINDS)
    for described, kinds in KINDS.items():
        schema = body["content"][described]["schema"]
        least, most = schema.get("minLength", 0), schema.get("maxLength", 2_000_000)
        for kind in kinds:
            assert post(server, path, digits[0].ljust(most, b"\0"), kind) == 200
            assert post(server, path, b"x" * least, kind) == 422  # as far as a schema goes; it is no image
            assert post(server, path, digits[0].ljust(most + 1, b"\0"), kind) == 413
            assert post(server, path, b"x" * (least - 1), kind) == 400
    assert post(server, path, digits[0], "text/plain") == 415

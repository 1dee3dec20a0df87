"""What is no image, too large or too slow is refused in words, and leaves nothing in the memory."""

import functools
import io
import socket
import struct
import zlib

import numpy as np
import pytest
import requests
from PIL import Image

LIMIT = 1_000_000  # bytes; the server's, as conftest.py starts it


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side: int = 10_000) -> bytes:
    """A PNG of side x side white pixels, a bit each, in a few kilobytes."""
    rows = (b"\0" + b"\xff" * (side // 8)) * side
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows, 9)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def photo() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


class Blocks:
    """A body without a known length, of zeros; afresh each time."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes

    def __iter__(self):
        for first in range(0, self.num_bytes, 65536):
            yield bytes(min(65536, self.num_bytes - first))


@functools.cache
def cases():
    """Name: body, Content-Type, status, and words of the message."""
    return {
        "not an image": (b"Good morning.", "image/png", 422, "not an image of a known kind (JPEG, PNG"),
        "bomb": (bomb(), "image/png", 422, "larger than 89,478,485 pixels"),
        "empty": (b"", "image/png", 400, "the body is empty"),
        "text": (b"Good morning.", "text/plain", 415, "Content-Type is text/plain"),
        "form": (photo(), "multipart/form-data; boundary=x", 415, "Content-Type is multipart/form-data"),
        "truncated": (photo()[:5000], "image/jpeg", 422, "truncated"),
        "too large": (bytes(LIMIT + 1), "image/png", 413, "larger than 1,000,000 bytes"),
        "too large, unknown length": (Blocks(LIMIT + 1), "image/png", 413, "larger than 1,000,000 bytes"),
    }


def send(server, name, route="/predict"):
    content, kind, *_ = cases()[name]
    return requests.post(f"{server.url}{route}", data=content, headers={"Content-Type": kind}, timeout=30)


@pytest.mark.parametrize("route", ["/predict", "/explain"])
@pytest.mark.parametrize("name", cases())
def test_it_is_refused_in_words(server, name, route):
    answer = send(server, name, route)
    _, _, status, words = cases()[name]
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert list(answer.json()) == ["detail"]


def test_an_image_of_the_largest_size_is_accepted(server):
    file = photo()
    content = file + bytes(LIMIT - len(file))
    answer = requests.post(
        f"{server.url}/predict", content, headers={"Content-Type": "image/jpeg"}, timeout=30
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "words"),
    [("top=0", "top=0: Input should be greater"), ("top=many", "top=many: Input should be a valid integer")],
)
def test_a_wrong_parameter_is_named(server, digits, query, words):
    answer = requests.post(
        f"{server.url}/predict?{query}", digits[0], headers={"Content-Type": "image/png"}, timeout=30
    )
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_an_unknown_class_is_answered_with_the_known_ones(server, digits):
    answer = requests.post(
        f"{server.url}/explain?class=ten", digits[0], headers={"Content-Type": "image/png"}, timeout=30
    )
    assert answer.status_code == 422
    assert answer.json()["detail"] == "class=ten: the network knows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."


def test_a_body_that_does_not_arrive_is_given_up(server):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\n"
            "Content-Length: 5000\r\n\r\nonly this".encode()
        )
        answer = b""
        while block := connection.recv(4096):  # until the server closes it
            answer += block
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the image did not arrive in time: 9 bytes so far." in answer


def test_the_limit_is_told_before_the_body_is_sent(server):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\n"
            "Expect: 100-continue\r\nContent-Length: 99000000000\r\n\r\n".encode()
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_garbage_leaves_nothing_in_the_memory(server, digits):
    """240 requests with 76 MB in all; bombs alone would be 30 times 100 megapixels."""
    for name in cases():
        send(server, name)
    before = server.resident_bytes()
    for _ in range(30):
        for name in cases():
            send(server, name)
    assert server.resident_bytes() < before + 20e6
    answer = requests.post(
        f"{server.url}/predict", digits[0], headers={"Content-Type": "image/png"}, timeout=30
    )
    assert answer.status_code == 200

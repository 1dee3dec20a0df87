"""What the words after `convlab predict` mean."""

import io
import sys

import pytest

from convlab.data.image_file import UnreadableImage
from convlab.prediction import photo_sources
from convlab.prediction.photo_sources import find


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", ".hidden.jpg", ".git/d.jpg", "odd[1].gif"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(*words):
    return [source.name for source in find(words)]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("photos/b.jpg", ["photos/b.jpg"]),
        ("photos/notes.txt", ["photos/notes.txt"]),  # named by the user: the model's reader says what it is
        ("photos", ["photos/a.PNG", "photos/b.jpg", "photos/deep/er/c.webp", "photos/odd[1].gif"]),
        ("photos/*.jpg", ["photos/b.jpg"]),
        ("photos/**/*.webp", ["photos/deep/er/c.webp"]),
        ("photos/d*", ["photos/deep/er/c.webp"]),  # as a shell: the folder, so what is in it
        ("photos/odd[1].gif", ["photos/odd[1].gif"]),  # a name is a name before it is a pattern
    ],
)
def test_files_folders_and_patterns(here, word, found):
    assert names(word) == found
    assert [source.read().read_bytes() for source in find([word])] == [
        name.removeprefix("photos/").encode() for name in found
    ]


def test_the_order_is_that_of_the_words(here):
    assert names("photos/deep", "photos/b.jpg") == ["photos/deep/er/c.webp", "photos/b.jpg"]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("nothing.jpg", "nothing.jpg: there is no such file"),
        ("*.jpg", r"\*\.jpg: no file matches"),
        ("empty", "empty: no photo in this folder: it is empty"),
        ("ftp://example.org/a.jpg", "ftp://example.org/a.jpg: only http and https"),
    ],
)
def test_what_is_not_there_is_told_when_it_is_read(here, tmp_path, word, reason):
    (tmp_path / "empty").mkdir()
    (source,) = find([word])
    with pytest.raises(UnreadableImage, match=reason):
        source.read()


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xd8 bytes")))
    (source,) = find(["-"])
    assert (source.name, source.read()) == ("standard input", b"\xff\xd8 bytes")


class TestWeb:
    def read(self, url):
        (source,) = find([url])
        assert source.name == url
        return source.read()

    def test_an_address_is_downloaded(self, site):
        site.files["a.jpg"] = bytes(range(256)) * 1000
        assert self.read(f"{site.url}/a.jpg") == site.files["a.jpg"]

    def test_a_redirection_is_followed_but_not_to_other_schemes(self, site):
        site.files["a.jpg"] = b"a"
        site.answers["moved"] = [(302, {"Location": "/a.jpg"}), (302, {"Location": "file:///etc/hostname"})]
        assert self.read(f"{site.url}/moved") == b"a"
        with pytest.raises(UnreadableImage, match="file:///etc/hostname"):
            self.read(f"{site.url}/moved")

    def test_an_error_is_the_servers(self, site):
        site.answers["busy"] = [(503, {})]
        with pytest.raises(UnreadableImage, match=r"/gone: the server answered 404 Not Found$"):
            self.read(f"{site.url}/gone")
        with pytest.raises(UnreadableImage, match=r"/busy: the server answered 503 Service Unavailable$"):
            self.read(f"{site.url}/busy")

    def test_a_server_that_is_not_there(self):
        with pytest.raises(UnreadableImage, match=r"there is no connection"):
            self.read("http://127.0.0.1:9/a.jpg")

    def test_a_connection_that_breaks_off(self, site):
        site.files["a.jpg"] = bytes(100_000)
        site.drops["a.jpg"] = [50_000]
        with pytest.raises(UnreadableImage, match="or it broke off"):
            self.read(f"{site.url}/a.jpg")

    def test_what_is_too_large_is_not_read_to_its_end(self, site, monkeypatch):
        monkeypatch.setattr(photo_sources, "MAX_BYTES", 2 * 1024**2)
        site.files["a.jpg"] = bytes(40 * 1024**2)
        with pytest.raises(UnreadableImage, match=r"larger than 2 MB"):
            self.read(f"{site.url}/a.jpg")
        assert site.log[0].sent_bytes < 30 * 1024**2

    def test_what_takes_too_long_is_given_up(self, site, monkeypatch):
        monkeypatch.setattr(photo_sources, "TOTAL_S", 0.2)
        site.files["a.jpg"] = bytes(1024**2)
        site.bytes_per_s = 200_000
        with pytest.raises(UnreadableImage, match=r"not read after 0\.2 seconds"):
            self.read(f"{site.url}/a.jpg")

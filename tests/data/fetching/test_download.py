"""Downloads from a real server that breaks off, ignores ranges, fails, changes its mind."""

import gzip
import hashlib
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from http_server import Site
from urllib3.util import Retry

from convlab.data.fetching import retries
from convlab.data.fetching.download import Expected, download
from convlab.data.fetching.retries import Unavailable

CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
NOTHING_KNOWN = Expected()
ALL_KNOWN = Expected(300_000, hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest())

Get = Callable[..., bytes]


@pytest.fixture
def get(site: Site, tmp_path: Path) -> Get:
    """Download `file` from the site, which serves CONTENT, and return what arrived."""
    site.files["file"] = CONTENT

    def get(expected: Expected = ALL_KNOWN) -> bytes:
        return download(f"{site.url}/file", expected, tmp_path, "file").read_bytes()

    return get


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "POLICY", Retry(total=0))


def break_off(site: Site, get: Get, expected: Expected) -> None:
    """Leave the first 200,000 bytes behind as a part."""
    site.drops["file"] = [200_000]
    with pytest.raises(Unavailable, match=r"Incomplete|ended after"):
        get(expected)


def test_a_complete_file_is_not_asked_for_again(site: Site, get: Get) -> None:
    assert get() == CONTENT
    assert get() == CONTENT
    assert site.paths() == ["file"]


def test_a_damaged_file_is_asked_for_again(site: Site, get: Get, tmp_path: Path) -> None:
    get()
    next(tmp_path.glob("*/file")).write_bytes(CONTENT[:-1] + b"x")
    assert get() == CONTENT
    assert len(site.log) == 2


def test_a_broken_connection_is_resumed_where_it_ended(site: Site, get: Get) -> None:
    site.drops["file"] = [200_000]
    assert get() == CONTENT
    assert [(served.range, served.status) for served in site.log] == [(None, 200), ("bytes=200000-", 206)]
    assert site.log[1].sent_bytes == 100_000


def test_attempts_that_bring_something_are_not_counted(site: Site, get: Get, monkeypatch) -> None:
    monkeypatch.setattr(retries, "POLICY", Retry(total=1))
    site.drops["file"] = [70_000, 70_000, 70_000, 70_000]
    assert get() == CONTENT
    assert [served.range for served in site.log] == [None, *(f"bytes={n * 70_000}-" for n in range(1, 5))]


def test_attempts_that_bring_nothing_are_counted(site: Site, get: Get, monkeypatch) -> None:
    monkeypatch.setattr(retries, "POLICY", Retry(total=2))
    site.answers["file"] = [(500, {})] * 5
    with pytest.raises(Unavailable, match=r"500 Internal Server Error \(tried 3 times\)"):
        get()
    assert len(site.log) == 3


def test_a_server_that_ignores_ranges_sends_all_again(site: Site, get: Get) -> None:
    site.ranges, site.drops["file"] = False, [200_000]
    assert get() == CONTENT
    assert [(served.status, served.sent_bytes) for served in site.log] == [(200, 200_000), (200, 300_000)]


def test_another_range_than_asked_for_is_not_appended(site: Site, get: Get) -> None:
    site.range_shift, site.drops["file"] = 7, [200_000]
    assert get(NOTHING_KNOWN) == CONTENT
    assert [served.status for served in site.log] == [200, 206, 200]


@pytest.mark.usefixtures("no_retries")
def test_a_part_of_a_changed_file_is_dropped(site: Site, get: Get) -> None:
    break_off(site, get, NOTHING_KNOWN)
    site.files["file"] = OTHER
    assert get(NOTHING_KNOWN) == OTHER  # not CONTENT's first bytes with OTHER's rest
    assert (site.log[1].range, site.log[1].status) == ("bytes=200000-", 200)


@pytest.mark.usefixtures("no_retries")
def test_without_etag_and_checksum_nothing_is_resumed(site: Site, get: Get) -> None:
    site.etags = False
    break_off(site, get, NOTHING_KNOWN)
    site.files["file"] = OTHER
    assert get(NOTHING_KNOWN) == OTHER
    assert site.log[1].range is None


@pytest.mark.usefixtures("no_retries")
def test_without_etag_a_checksum_unmasks_the_part_of_another_file(site: Site, get: Get) -> None:
    site.etags, site.files["file"] = False, OTHER
    break_off(site, get, ALL_KNOWN)
    site.files["file"] = CONTENT
    assert get() == CONTENT
    assert [served.range for served in site.log] == [None, "bytes=200000-", None]


@pytest.mark.usefixtures("no_retries")
def test_another_expected_file_never_continues_a_part(site: Site, get: Get) -> None:
    break_off(site, get, ALL_KNOWN)
    site.files["file"] = OTHER
    assert get(Expected(sha256=hashlib.sha256(OTHER).hexdigest())) == OTHER
    assert [served.range for served in site.log] == [None, None]


@pytest.mark.parametrize(("expected", "requests"), [(ALL_KNOWN, []), (NOTHING_KNOWN, [416])])
def test_a_part_that_was_complete_is_recognised(
    site: Site, get: Get, tmp_path: Path, expected: Expected, requests: list[int]
) -> None:
    get(expected)
    path = next(tmp_path.glob("*/file"))
    path.rename(path.with_name("file.part"))  # as if killed just before this renaming
    path.with_name("file.part.validator").write_text(f'"{hashlib.md5(CONTENT).hexdigest()}"')
    site.log.clear()
    assert get(expected) == CONTENT
    assert [served.status for served in site.log] == requests


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(site: Site, get: Get, status: int) -> None:
    site.answers["file"] = [(status, {"Retry-After": "1"})]
    start = time.monotonic()
    assert get() == CONTENT
    assert time.monotonic() - start >= 1
    assert [served.status for served in site.log] == [status, 200]


def test_a_meaningless_retry_after_does_no_harm(site: Site, get: Get) -> None:
    site.answers["file"] = [(503, {"Retry-After": "soon"})]
    assert get() == CONTENT


def test_a_missing_file_is_asked_for_once(site: Site, get: Get) -> None:
    del site.files["file"]
    with pytest.raises(Unavailable, match="404 Not Found") as caught:
        get()
    assert caught.value.missing
    assert len(site.log) == 1


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_wrong_content_is_named_and_removed(site: Site, get: Get, tmp_path: Path, algorithm: str) -> None:
    site.files["file"] = OTHER
    expected, found = (hashlib.new(algorithm, content).hexdigest() for content in (CONTENT, OTHER))
    with pytest.raises(Unavailable, match=f"^expected {algorithm} {expected}, found {found}$"):
        get(Expected(**{algorithm: expected}))
    assert {path.name for path in tmp_path.glob("*/*")} <= {"file.part.validator"}


def test_a_wrong_size_is_noticed_before_the_download(site: Site, get: Get) -> None:
    with pytest.raises(Unavailable, match=r"^expected 299,999 bytes, the server has 300,000$"):
        get(Expected(bytes=299_999))
    assert len(site.log) == 1


def test_gzip_stays_gzip(site: Site, get: Get) -> None:
    site.files["file"] = gzip.compress(b"digits", mtime=0)
    site.headers["file"]["Content-Encoding"] = "gzip"
    assert get(NOTHING_KNOWN) == gzip.compress(b"digits", mtime=0)


@pytest.mark.usefixtures("no_retries", "site")
def test_an_unreachable_server_is_named_with_the_plain_reason(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
    with pytest.raises(Unavailable, match=r"^Failed to establish a new connection: .*Connection refused"):
        download(url, NOTHING_KNOWN, tmp_path, "file")

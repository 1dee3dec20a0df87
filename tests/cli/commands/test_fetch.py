"""`convlab fetch` against a real server and real mirrors, with small files in the real formats."""

import ast
import gzip
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from http_server import Site
from published import DIGITS, PHOTOS, WEIGHTS, Project, checks, idx, make_mirror, tgz

from convlab.base import provenance
from convlab.base.errors import ConvlabError
from convlab.cli.commands.fetch import run
from convlab.data.fetching import sources

SUBSTITUTE_PHOTOS = tgz({"photos/cat/1.jpg": b"first cat", "photos/dog/9.jpg": b"another dog"})
FETCH = [sys.executable, "-c", "import sys; from convlab.cli.commands.fetch import run; run(sys.argv[1:])"]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def refused(project: Project, name: str, *texts: str) -> None:
    """`fetch` fails with a message that holds `texts`, and leaves nothing to be seen."""
    with pytest.raises(ConvlabError) as caught:
        run([name])
    for text in texts:
        assert text in str(caught.value)
    assert not (project.root / "made" / name).exists()
    assert project.leftovers() == []


def test_files_arrive_as_published(fetch_project: Project) -> None:
    assert run(["digits", "weights"]) == 0
    assert fetch_project.files("digits") == {Path(path).name: content for path, content in DIGITS.items()}
    assert fetch_project.files("weights") == {"model.safetensors": WEIGHTS}
    assert fetch_project.leftovers() == []


def test_an_archive_is_unpacked_without_its_top_folder(fetch_project: Project) -> None:
    run(["photos"])
    assert fetch_project.files("photos") == {
        path.removeprefix("photos/"): content for path, content in PHOTOS.items()
    }


def test_provenance_says_what_came_from_where(fetch_project: Project) -> None:
    fetch_project.sources["weights"][0] |= checks(WEIGHTS, "bytes", "md5")
    fetch_project.configure()
    run(["weights"])
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    assert fetch_project.provenance("weights") == {
        "version": 1,
        "files": {
            "w/net.safetensors": {
                "sha256": digest,
                "bytes": len(WEIGHTS),
                "origin": f"{fetch_project.site.url}/w/net.safetensors",
                "published": {"bytes": len(WEIGHTS), "md5": hashlib.md5(WEIGHTS).hexdigest()},
            }
        },
        "contents": {"model.safetensors": digest},
    }


def test_what_is_intact_is_not_fetched_again(fetch_project: Project, capsys) -> None:
    run(["photos"])
    run(["photos"])
    assert fetch_project.site.paths() == ["photos.tgz"]
    assert "photos: 4 files, 0.0 MB in made/photos: already there and intact" in capsys.readouterr().out


def test_what_is_damaged_is_put_right_from_the_kept_download(fetch_project: Project, capsys) -> None:
    run(["photos"])
    (fetch_project.root / "made/photos/cat/2.jpg").write_bytes(b"")
    run(["photos"])
    assert "fetching again (cat/2.jpg has changed)" in capsys.readouterr().out
    (fetch_project.root / "made/photos/dog/1.jpg").unlink()
    run(["photos"])
    assert "fetching again (dog/1.jpg is missing)" in capsys.readouterr().out
    assert fetch_project.files("photos")["cat/2.jpg"] == b"second cat"
    assert fetch_project.files("photos")["dog/1.jpg"] == b"dog"
    assert fetch_project.site.paths() == ["photos.tgz"]


def test_files_of_others_are_never_replaced(fetch_project: Project) -> None:
    folder = fetch_project.root / "made/photos"
    run(["photos"])
    (folder / "cat/mine.jpg").write_bytes(b"mine")
    with pytest.raises(
        ConvlabError, match=r"has to be replaced .*found 3.* cat/mine.jpg for one \(1 in all\)"
    ):
        run(["photos"])
    (folder / "provenance.json").unlink()
    with pytest.raises(ConvlabError, match=r"provenance.json is missing or unreadable.*Move them away"):
        run(["photos"])
    assert (folder / "cat/mine.jpg").read_bytes() == b"mine"


def test_a_changed_configuration_is_noticed(fetch_project: Project) -> None:
    run(["weights"])
    fetch_project.sources["weights"][0]["bytes"] = 7
    fetch_project.configure()
    with pytest.raises(ConvlabError, match=rf"expected 7 bytes, the server has {len(WEIGHTS)}"):
        run(["weights"])
    assert fetch_project.files("weights") == {"model.safetensors": WEIGHTS}  # the old one is still there


def test_a_folder_that_cannot_be_written_is_named(fetch_project: Project) -> None:
    (fetch_project.root / "made").write_text("a file in the way")
    with pytest.raises(ConvlabError, match=r"weights: .*Not a directory: .*made.*run the same command again"):
        run(["weights"])


@pytest.mark.usefixtures("fetch_project")
def test_unknown_names_get_the_near_ones() -> None:
    with pytest.raises(
        ConvlabError, match=r"'digit'. Did you mean 'digits'\? Known: digits, photos, weights."
    ):
        run(["digit"])
    with pytest.raises(ConvlabError, match=r"fetch what. Choose from: digits, photos, weights."):
        run([])


# --- what is wrong with the content is said, and nothing is left of it


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("train-images-idx3", idx(2049, (3,)), "expected IDX magic number 2051, found 2049"),
        ("train-labels-idx1", idx(2051, (3, 28, 28)), "expected IDX magic number 2049, found 2051"),
        ("train-images-idx3", idx(2051, (3, 28, 28), 2351), "3 x 28 x 28 = 2352 bytes, the file holds 2351"),
        ("train-images-idx3", idx(2051, (3, 28, 27)), "expected images of 28 x 28 pixels, found 28 x 27"),
        ("t10k-labels-idx1", idx(2049, (4,)), "expected 2 labels, one an image"),
        ("t10k-images-idx3", idx(2051, (2, 28, 28))[:-9], "not a complete gzip file"),
        ("t10k-images-idx3", b"<html>Sign in first</html>", "not a complete gzip file"),
    ],
)
def test_wrong_digits_are_refused(fetch_project: Project, path: str, content: bytes, message: str) -> None:
    published = dict(fetch_project.site.files)
    fetch_project.site.files[f"digits/{path}-ubyte.gz"] = content
    url = f"{fetch_project.site.url}/digits/{path}-ubyte.gz"
    refused(fetch_project, "digits", f"digits/{path}-ubyte.gz", message, url, "Run the same command again")
    fetch_project.site.files = published
    run(["digits"])  # and the wrong file is not what is used the next time
    assert fetch_project.files("digits")[f"{path}-ubyte.gz"] == DIGITS[f"digits/{path}-ubyte.gz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WEIGHTS[:-1], "complete safetensors file"),
        (b"<html>Sign in first</html>", "found 26 bytes that are none"),
        (b"\x02" + bytes(7) + b"{}", "found no tensor"),
    ],
)
def test_wrong_weights_are_refused(fetch_project: Project, content: bytes, message: str) -> None:
    fetch_project.site.files["w/net.safetensors"] = content
    refused(fetch_project, "weights", "weights/model.safetensors", message)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tgz(PHOTOS)[:-30], "photos.tgz: expected a complete .tgz archive, found it damaged"),
        (tgz(PHOTOS)[:-6] + bytes(6), "photos.tgz: expected a complete .tgz archive, found it damaged"),
        (gzip.compress(b"no tar"), "photos.tgz: expected a complete .tgz archive, found it damaged"),
        (b"<html>Sign in first</html>", "photos.tgz: expected a complete .tgz archive, found it damaged"),
        (tgz({"photos/cat/1.jpg": b"", "photos/cat/2.jpg": b""}), "missing: dog, unknown: none"),
        (tgz(PHOTOS | {"photos/cow/1.jpg": b"moo"}), "missing: none, unknown: cow"),
        (tgz(PHOTOS | {"photos/dog/2.jpg": b"woof"}), "photos/dog: expected 1 photos, found 2"),
        (tgz(PHOTOS | {"../evil.jpg": b""}), "expected everything in 'photos/', found '../evil.jpg'"),
        (
            tgz(PHOTOS | {"photos/../../evil.jpg": b""}),
            "found 'photos/../../evil.jpg', which leads elsewhere",
        ),
        (tgz(PHOTOS | {"/tmp/evil.jpg": b""}), "found '/tmp/evil.jpg', which leads elsewhere"),
        (tgz(PHOTOS | {"evil.jpg": b""}), "found 'evil.jpg', which leads elsewhere"),
        (tgz({"photos/cat": link("", "/tmp"), **PHOTOS}), "found the link or device 'photos/cat'"),
        (tgz({"photos/a": link("", "../../b", tarfile.LNKTYPE), **PHOTOS}), "the link or device 'photos/a'"),
        (tgz({"photos/a": link("", "", tarfile.FIFOTYPE), **PHOTOS}), "the link or device 'photos/a'"),
    ],
)
def test_wrong_archives_are_refused(
    fetch_project: Project, tmp_path: Path, archive: bytes, message: str
) -> None:
    fetch_project.site.files["photos.tgz"] = archive
    refused(fetch_project, "photos", message, f"{fetch_project.site.url}/photos.tgz")
    assert not list(tmp_path.rglob("evil.jpg"))
    fetch_project.site.files["photos.tgz"] = tgz(PHOTOS)
    run(["photos"])
    assert len(fetch_project.files("photos")) == 4


def test_an_archive_that_grows_without_measure_is_refused(fetch_project: Project) -> None:
    zeros = tgz(PHOTOS | {"photos/cat/3.jpg": bytes(90_000_000)})
    assert len(zeros) < 100_000
    fetch_project.site.files["photos.tgz"] = zeros
    refused(fetch_project, "photos", "expected at most 83,886,080 bytes", "'photos/cat/3.jpg'")


@pytest.mark.parametrize("check", ["bytes", "md5", "sha256"])
def test_published_checks_hold(fetch_project: Project, check: str) -> None:
    fetch_project.sources["photos"][0] |= checks(b"the published file", check)
    fetch_project.configure()
    refused(fetch_project, "photos", "photos.tgz: expected", str(checks(b"the published file", check)[check]))


# --- where files come from


def test_the_next_url_is_asked_and_all_are_named(fetch_project: Project, site: Site) -> None:
    urls = [f"{site.url}/gone", "http://127.0.0.1:9/photos.tgz"]
    fetch_project.sources["photos"][0]["urls"] = urls
    fetch_project.configure()
    refused(
        fetch_project, "photos", f"{urls[0]}: 404", f"{urls[1]}: ", "Connection refused", "CONVLAB_MIRROR"
    )
    fetch_project.sources["photos"][0]["urls"] = [*urls, f"{site.url}/photos.tgz"]
    fetch_project.configure()
    run(["photos"])
    origin = fetch_project.provenance("photos")["files"]["photos.tgz"]["origin"]
    assert origin == f"{site.url}/photos.tgz"  # without a checksum, the place matters


def test_a_mirror_is_asked_first(fetch_project: Project, tmp_path: Path, monkeypatch) -> None:
    make_mirror(tmp_path / "mirror", DIGITS)
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    run(["digits"])
    assert fetch_project.site.log == []
    assert fetch_project.files("digits") == {Path(path).name: content for path, content in DIGITS.items()}


def test_provenance_is_the_same_from_a_mirror_and_from_the_url(
    fetch_project: Project, tmp_path: Path, monkeypatch
) -> None:
    fetch_project.sources["photos"][0] |= checks(tgz(PHOTOS), "md5")
    fetch_project.configure()
    run(["photos"])
    first = fetch_project.provenance("photos")
    make_mirror(tmp_path / "mirror", {"photos.tgz": tgz(PHOTOS)})
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    run(["photos", "--force"])
    assert fetch_project.provenance("photos") == first
    assert fetch_project.site.paths() == ["photos.tgz"]


def test_a_mirror_is_served_over_http(
    fetch_project: Project, site: Site, tmp_path: Path, monkeypatch
) -> None:
    make_mirror(tmp_path / "mirror", {"photos.tgz": tgz(PHOTOS)})
    for path in ("manifest.json", "photos.tgz"):
        site.files[f"my mirror/{path}"] = (tmp_path / "mirror" / path).read_bytes()
    site.answers["my mirror/manifest.json"] = [(503, {})]
    monkeypatch.setenv("CONVLAB_MIRROR", f"{site.url}/my%20mirror/")
    run(["photos"])
    assert site.paths() == ["my mirror/manifest.json", "my mirror/manifest.json", "my mirror/photos.tgz"]
    assert len(fetch_project.files("photos")) == 4


def test_what_an_http_mirror_lacks_comes_from_the_urls(
    fetch_project: Project, site: Site, tmp_path: Path, monkeypatch
) -> None:
    make_mirror(tmp_path / "mirror", {"w/net.safetensors": WEIGHTS})
    site.files["mirror/manifest.json"] = (tmp_path / "mirror/manifest.json").read_bytes()
    monkeypatch.setenv("CONVLAB_MIRROR", f"{site.url}/mirror")
    run(["weights"])
    assert site.paths() == ["mirror/manifest.json", "mirror/w/net.safetensors", "w/net.safetensors"]
    assert fetch_project.files("weights") == {"model.safetensors": WEIGHTS}


def test_a_substitute_is_used_warned_of_and_recorded(
    fetch_project: Project, tmp_path: Path, monkeypatch, capsys
) -> None:
    fetch_project.sources["photos"][0] |= checks(tgz(PHOTOS), "bytes", "sha256")
    fetch_project.configure()
    make_mirror(tmp_path / "mirror", {"photos.tgz": SUBSTITUTE_PHOTOS}, {"photos.tgz": "2 of the 3 photos"})
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    run(["photos"])
    assert "warning: photos.tgz: the mirror has a substitute" in capsys.readouterr().out
    assert fetch_project.files("photos") == {"cat/1.jpg": b"first cat", "dog/9.jpg": b"another dog"}
    assert fetch_project.provenance("photos")["files"] == {
        "photos.tgz": checks(SUBSTITUTE_PHOTOS, "bytes", "sha256")
        | {"origin": "https://example.org/photos.tgz", "substitute": "2 of the 3 photos"}
        | {"published": checks(tgz(PHOTOS), "bytes", "sha256")}
    }
    folder = fetch_project.root / "made/photos"
    assert provenance.substitutes(folder) == ["photos.tgz: 2 of the 3 photos"]
    monkeypatch.delenv("CONVLAB_MIRROR")
    run(["photos"])  # what is there stays, with the warning
    assert "warning: photos.tgz: 2 of the 3 photos (a substitute" in capsys.readouterr().out
    run(["photos", "--force"])
    assert provenance.substitutes(folder) == []
    assert len(fetch_project.files("photos")) == 4


def test_an_unmarked_file_of_a_mirror_must_be_the_published_one(
    fetch_project: Project, tmp_path: Path, monkeypatch
) -> None:
    fetch_project.sources["photos"][0] |= checks(tgz(PHOTOS), "md5")
    fetch_project.configure()
    make_mirror(tmp_path / "mirror", {"photos.tgz": SUBSTITUTE_PHOTOS})
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    refused(
        fetch_project, "photos", "expected md5", "doesn't mark it as a substitute", "unset CONVLAB_MIRROR"
    )


def test_a_damaged_mirror_is_named(fetch_project: Project, tmp_path: Path, monkeypatch) -> None:
    make_mirror(tmp_path / "mirror", {"photos.tgz": tgz(PHOTOS)})
    (tmp_path / "mirror/photos.tgz").write_bytes(tgz(PHOTOS)[:-1])
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    refused(fetch_project, "photos", f"photos.tgz in the mirror {tmp_path / 'mirror'}: expected")
    assert (tmp_path / "mirror/photos.tgz").exists()


def test_what_a_mirror_lacks_comes_from_the_urls(
    fetch_project: Project, tmp_path: Path, monkeypatch, capsys
) -> None:
    make_mirror(tmp_path / "mirror", {"photos.tgz": tgz(PHOTOS), "w/net.safetensors": WEIGHTS})
    (tmp_path / "mirror/photos.tgz").unlink()  # listed, but not there
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    run(["photos", "digits", "weights"])
    assert sorted(fetch_project.site.paths()) == sorted(["photos.tgz", *DIGITS])
    assert f"photos.tgz is not in the mirror {tmp_path / 'mirror'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "manifest", [None, "[]", '{"version": 2, "files": {}}', '{"version": 1, "files": {"a": 1}}']
)
def test_a_mirror_without_manifest_is_an_error(
    fetch_project: Project, tmp_path: Path, monkeypatch, manifest: str | None
) -> None:
    (tmp_path / "mirror").mkdir()
    if manifest:
        (tmp_path / "mirror/manifest.json").write_text(manifest)
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "mirror"))
    refused(fetch_project, "photos", f"{tmp_path / 'mirror'}/manifest.json")


# --- killed at any moment


def test_killed_during_the_download_only_the_rest_is_asked_for(fetch_project: Project, site: Site) -> None:
    content = tgz(PHOTOS | {"photos/LICENSE.txt": os.urandom(1_000_000)})
    site.files["photos.tgz"], site.bytes_per_s = content, 500_000
    process = subprocess.Popen([*FETCH, "photos"])
    downloads = fetch_project.root / ".convlab/downloads"
    wait_until(lambda: any(path.stat().st_size > 150_000 for path in downloads.glob("*/photos.tgz.part")))
    process.kill()  # SIGKILL: no chance to tidy up
    process.wait()
    assert not (fetch_project.root / "made/photos").exists()
    size = next(downloads.glob("*/photos.tgz.part")).stat().st_size
    assert 150_000 < size < len(content)
    site.bytes_per_s = None
    run(["photos"])
    assert [(served.range, served.status) for served in site.log] == [(None, 200), (f"bytes={size}-", 206)]
    assert site.log[1].sent_bytes == len(content) - size
    assert (
        fetch_project.provenance("photos")["files"]["photos.tgz"]["sha256"]
        == hashlib.sha256(content).hexdigest()
    )
    assert fetch_project.leftovers() == []


def test_killed_while_unpacking_nothing_is_downloaded_again(fetch_project: Project, site: Site) -> None:
    many = {f"photos/cat/{number}.jpg": b"cat" for number in range(300)}
    site.files["photos.tgz"] = tgz(many | {"photos/dog/1.jpg": b"dog"})
    fetch_project.sources["photos"][0]["classes"] = {"cat": 300, "dog": 1}
    fetch_project.configure()
    slowly = (
        "import tarfile, time; extract = tarfile.TarFile.extractfile\n"
        "tarfile.TarFile.extractfile = lambda *a: (time.sleep(0.05), extract(*a))[1]\n"
    )
    process = subprocess.Popen([sys.executable, "-c", slowly + FETCH[2], "photos"])
    wait_until(lambda: len(list(fetch_project.root.glob("made/.photos.incoming/cat/*"))) > 2)
    process.kill()
    process.wait()
    assert not (fetch_project.root / "made/photos").exists()
    assert fetch_project.leftovers() == [".photos.incoming"]
    run(["photos"])
    assert site.paths() == ["photos.tgz"]
    assert len(fetch_project.files("photos")) == 301
    assert fetch_project.leftovers() == []


def test_killed_between_the_last_two_steps_the_old_folder_is_found_again(fetch_project: Project) -> None:
    run(["weights"])
    made = fetch_project.root / "made"
    (made / "weights").rename(made / ".weights.replaced")
    (made / ".weights.incoming").mkdir()
    shutil.rmtree(fetch_project.root / ".convlab/downloads")
    run(["weights"])
    assert fetch_project.files("weights") == {"model.safetensors": WEIGHTS}
    assert fetch_project.leftovers() == []
    assert fetch_project.site.paths() == ["w/net.safetensors"]


def test_two_at_once_download_once(fetch_project: Project, site: Site) -> None:
    site.bytes_per_s = 40_000  # the first block alone keeps the first of them busy
    site.files["photos.tgz"] = tgz(PHOTOS | {"photos/LICENSE.txt": os.urandom(20_000)})
    both = [subprocess.Popen([*FETCH, "photos"]) for _ in range(2)]
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert site.paths() == ["photos.tgz"]
    assert len(fetch_project.files("photos")) == 4


# --- the configurations that are shipped


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLAB_PROJECT", str(Path(__file__).parents[3]))


@pytest.mark.usefixtures("shipped")
def test_mnist_has_the_checksums_that_torchvision_has() -> None:
    code = importlib.metadata.distribution("torchvision").locate_file("torchvision/datasets/mnist.py")
    resources = re.search(r"resources = (\[.*?\])", Path(code).read_text(), re.DOTALL)  # MNIST's is the first
    assert resources
    published = {Path(source.path).name: source.md5 for source in sources.load("mnist").sources}
    assert published == dict(ast.literal_eval(resources[1]))


@pytest.mark.usefixtures("shipped")
def test_flowers_are_the_3670_photos() -> None:
    (source,) = sources.load("flowers").sources
    assert len(source.classes) == 5
    assert sum(source.classes.values()) == 3670


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("name", ["mnist", "flowers", "inception_v3"])
def test_sources_are_published_under_https(name: str) -> None:
    urls = [url for source in sources.load(name).sources for url in source.urls]
    assert urls
    assert all(url.startswith("https://") for url in urls)

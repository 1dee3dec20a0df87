"""`convlab mirror`: what it builds serves `convlab fetch` with the web server gone."""

import json
from pathlib import Path
from typing import Any

import pytest
from http_server import Site
from published import DIGITS, PHOTOS, WEIGHTS, Project, checks, make_mirror, tgz

from convlab.base.errors import ConvlabError
from convlab.cli.commands import fetch, mirror

PUBLISHED = DIGITS | {"photos.tgz": tgz(PHOTOS), "w/net.safetensors": WEIGHTS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_a_mirror_holds_all_as_published(fetch_project: Project, folder: Path) -> None:
    assert mirror.run([str(folder)]) == 0
    url = fetch_project.site.url
    assert manifest(folder) == {
        "version": 1,
        "files": {
            path: checks(content, "bytes", "sha256") | {"origin": f"{url}/{path}"}
            for path, content in PUBLISHED.items()
        },
    }
    found = files(folder)
    del found["manifest.json"]
    assert found == PUBLISHED  # and no partial or temporary file


def test_fetch_needs_nothing_but_the_mirror(
    fetch_project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.run([str(folder)])
    fetch_project.site.files.clear()
    fetch_project.site.log.clear()
    monkeypatch.setenv("CONVLAB_MIRROR", str(folder))
    fetch.run(["digits", "photos", "weights"])
    assert fetch_project.site.log == []
    assert len(fetch_project.files("photos")) == 4


def test_only_what_is_missing_or_damaged_is_fetched(fetch_project: Project, folder: Path) -> None:
    mirror.run([str(folder)])
    (folder / "photos.tgz").unlink()
    (folder / "w/net.safetensors").write_bytes(b"damaged")
    fetch_project.site.log.clear()
    mirror.run([str(folder)])
    assert fetch_project.site.paths() == ["photos.tgz", "w/net.safetensors"]
    assert files(folder)["w/net.safetensors"] == WEIGHTS


def test_names_add_to_what_is_there(fetch_project: Project, folder: Path) -> None:
    mirror.run([str(folder), "photos"])
    assert fetch_project.site.paths() == ["photos.tgz"]
    mirror.run([str(folder), "weights"])
    assert list(manifest(folder)["files"]) == ["photos.tgz", "w/net.safetensors"]


def test_a_failure_keeps_what_is_finished_and_the_next_run_goes_on(
    fetch_project: Project, site: Site, folder: Path
) -> None:
    content = site.files.pop("w/net.safetensors")
    with pytest.raises(ConvlabError, match=r"cannot fetch w/net.safetensors"):
        mirror.run([str(folder)])
    assert sorted(manifest(folder)["files"]) == sorted([*DIGITS, "photos.tgz"])
    site.files["w/net.safetensors"] = content
    site.log.clear()
    mirror.run([str(folder)])
    assert site.paths() == ["w/net.safetensors"]
    assert fetch_project.root.joinpath("made").exists() is False  # a mirror fetches for others


def test_wrong_content_is_not_listed(fetch_project: Project, folder: Path) -> None:
    fetch_project.site.files["w/net.safetensors"] = b"<html>Sign in first</html>"
    with pytest.raises(ConvlabError, match="complete safetensors file"):
        mirror.run([str(folder), "weights"])
    assert not (folder / "manifest.json").exists()
    assert not (folder / "w/net.safetensors").exists()


def test_substitutes_stay_marked_until_the_published_file_can_be_had(
    fetch_project: Project, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_project.sources["photos"][0] |= checks(tgz(PHOTOS), "sha256")
    fetch_project.configure()
    few = tgz({"photos/cat/1.jpg": b"cat", "photos/dog/1.jpg": b"dog"})
    make_mirror(tmp_path / "first", {"photos.tgz": few}, {"photos.tgz": "2 of 3"})
    monkeypatch.setenv("CONVLAB_MIRROR", str(tmp_path / "first"))
    for _ in range(2):
        mirror.run([str(folder), "photos"])
        assert manifest(folder) == manifest(tmp_path / "first")
    assert files(folder)["photos.tgz"] == few
    assert fetch_project.site.log == []

    monkeypatch.delenv("CONVLAB_MIRROR")
    mirror.run([str(folder), "photos"])
    assert files(folder)["photos.tgz"] == tgz(PHOTOS)
    assert "substitute" not in manifest(folder)["files"]["photos.tgz"]
    assert (tmp_path / "first/photos.tgz").read_bytes() == few  # a mirror that is copied from is left alone


@pytest.mark.usefixtures("fetch_project")
def test_unknown_names_are_refused_before_anything_is_written(folder: Path) -> None:
    with pytest.raises(ConvlabError, match="Did you mean 'photos'"):
        mirror.run([str(folder), "photo"])
    assert not folder.exists()

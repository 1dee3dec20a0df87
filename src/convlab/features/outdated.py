"""Whether a photo folder still is what its vectors were computed from."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.base.project import state_dir
from convlab.data.photos import scan
from convlab.features.content_hashes import ContentHashes


def hashes_file(data: str, backbone: str) -> Path:
    """Where the content hashes of a photo folder's files are remembered between runs."""
    return state_dir() / "features" / data / backbone / "content_hashes"


def outdated(data: Mapping[str, Any]) -> str | None:
    """What has changed in the photo folder of a run's setting `data` since its vectors were computed.

    None if nothing has, if `data` has no vectors, and where the folder is not there: they alone suffice.
    """
    module = data.get("module") or {}
    photos, features = (Path(module.get(key) or "") for key in ("photos_dir", "dir"))
    if not module.get("photos_dir") or not photos.is_dir() or not (features / "meta.json").is_file():
        return None
    meta = json.loads((features / "meta.json").read_bytes())
    known = {(row["content_hash"], row["class"]) for row in _rows(features / "index.csv")}
    unreadable = {row["path"] for row in _rows(features / "unreadable.csv")}
    hashes = ContentHashes(hashes_file(meta["data"], meta["backbone"]["name"]))
    try:
        found = scan(photos, hashes.of).photos
    except ConvlabError as error:
        return f"{error} Its vectors in {features} are those of before."
    now = {(photo.content_hash, photo.class_name) for photo in found if photo.path not in unreadable}
    if now == known:
        return None
    return (
        f"{photos} has changed since its vectors were computed: {len(now - known):,} photos are new, "
        f"{len(known - now):,} gone. The same `convlab features` as before brings {features} up to date."
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))

"""Small published files in the formats of the real ones, on a web server, and a project that wants them."""

import gzip
import hashlib
import io
import json
import struct
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import yaml
from http_server import Site


def idx(magic: int, shape: tuple[int, ...], num_values: int | None = None) -> bytes:
    """A gzipped IDX file of zeros; `num_values` other than the header's make it a wrong one."""
    header = struct.pack(f">{1 + len(shape)}i", magic, *shape)
    return gzip.compress(header + bytes(int(np.prod(shape)) if num_values is None else num_values), mtime=0)


def tgz(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    """An archive of files with this content, or of links and the like as described."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return gzip.compress(buffer.getvalue(), mtime=0)


DIGITS = {
    "digits/train-images-idx3-ubyte.gz": idx(2051, (3, 28, 28)),
    "digits/train-labels-idx1-ubyte.gz": idx(2049, (3,)),
    "digits/t10k-images-idx3-ubyte.gz": idx(2051, (2, 28, 28)),
    "digits/t10k-labels-idx1-ubyte.gz": idx(2049, (2,)),
}
PHOTOS = {
    "photos/LICENSE.txt": b"free",
    "photos/cat/1.jpg": b"first cat",
    "photos/cat/2.jpg": b"second cat",
    "photos/dog/1.jpg": b"dog",
}
WEIGHTS = safetensors.numpy.save({"conv.weight": np.ones((2, 3), np.float32)})


@dataclass
class Project:
    """A project folder whose configurations `digits`, `photos` and `weights` point to `site`.

    Change `sources`, then `configure` again. Checksums are left out unless a test adds them.
    """

    root: Path
    site: Site
    sources: dict[str, list[dict[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        url = self.site.url
        self.site.files.update(DIGITS, **{"photos.tgz": tgz(PHOTOS), "w/net.safetensors": WEIGHTS})
        photos = {"path": "photos.tgz", "urls": [f"{url}/photos.tgz"]}
        weights = {"path": "w/net.safetensors", "urls": [f"{url}/w/net.safetensors"]}
        self.sources = {
            "digits": [{"path": path, "urls": [f"{url}/{path}"]} for path in DIGITS],
            "photos": [photos | {"unpack": "photos", "classes": {"cat": 2, "dog": 1}}],
            "weights": [weights | {"file": "model.safetensors"}],
        }
        self.configure()
        (self.root / "conf" / "train.yaml").touch()

    def configure(self) -> None:
        for name, group in (("digits", "data"), ("photos", "data"), ("weights", "backbone")):
            file = self.root / "conf" / group / f"{name}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            config = {"name": name, "dir": f"made/{name}", "sources": self.sources[name]}
            file.write_text(yaml.safe_dump(config))

    def files(self, name: str) -> dict[str, bytes]:
        folder = self.root / "made" / name
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "provenance.json"
        }

    def provenance(self, name: str) -> dict[str, Any]:
        return json.loads((self.root / "made" / name / "provenance.json").read_text())

    def leftovers(self) -> list[str]:
        """What a fetch must not leave in the project, beside the three finished folders."""
        made = {path.name for path in self.root.glob("made/*")} - {"digits", "photos", "weights"}
        return sorted(made | {path.name for path in self.root.rglob("*.part")})


def checks(content: bytes, *names: str) -> dict[str, Any]:
    """The published checks `names` of `content`, for a source's configuration."""
    known = {
        "bytes": len(content),
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {name: known[name] for name in names}


def make_mirror(folder: Path, files: dict[str, bytes], substitutes: dict[str, str] | None = None) -> None:
    """A mirror by hand: `files` and the manifest that lists them."""
    manifest: dict[str, Any] = {"version": 1, "files": {}}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        manifest["files"][path] = checks(content, "bytes", "sha256") | {
            "origin": f"https://example.org/{path}"
        }
    for path, note in (substitutes or {}).items():
        manifest["files"][path]["substitute"] = note
    (folder / "manifest.json").write_text(json.dumps(manifest))

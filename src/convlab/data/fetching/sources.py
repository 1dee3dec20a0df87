"""What `convlab fetch` can fetch: the `sources` of conf/data/*.yaml and conf/backbone/*.yaml.

A source is one published file:

    path:    its name in a mirror; unless `file` says otherwise, its last part is the name in `dir`
    urls:    where it is published, in the order in which to ask
    bytes, md5, sha256:  as published, where they are
    unpack:  of a .tgz: the archive's one top folder, whose content becomes `dir`
    classes: of photos: how many each class folder holds, as published
"""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from omegaconf import OmegaConf

from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError, near
from convlab.base.files import file_hash
from convlab.base.project import conf_groups, project_dir
from convlab.data.fetching.download import Expected, download
from convlab.data.fetching.mirrors import Entry, Mirror
from convlab.data.fetching.retries import Unavailable


@dataclass(frozen=True)
class Source:
    """One published file, as the configuration describes it."""

    path: str
    urls: list[str]
    file: str = ""
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    unpack: str | None = None
    classes: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name in the folder that is fetched."""
        return self.file or PurePosixPath(self.path).name

    @property
    def expected(self) -> Expected:
        return Expected(self.bytes, self.md5, self.sha256)

    @property
    def published(self) -> dict[str, Any]:
        """The published checks as a plain mapping, without those that are unknown."""
        checks = {"bytes": self.bytes, "md5": self.md5, "sha256": self.sha256}
        return {key: value for key, value in checks.items() if value is not None}

    @property
    def has_checksum(self) -> bool:
        return bool(self.md5 or self.sha256)


@dataclass(frozen=True)
class Dataset:
    """What one configuration file asks for: `sources` brought together in the folder `dir`."""

    name: str
    dir: Path
    sources: list[Source]


@dataclass(frozen=True)
class Fetched:
    """A source's verified file, and what is known about it.

    place: where it was got from, for messages.
    local: it is a download of ours, which may be moved; a mirror's own file may not.
    disposable: moreover, no checksum vouches for its content.
    """

    source: Source
    path: Path
    entry: Entry
    place: str
    local: bool
    disposable: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """What `provenance.json` says of it. The same wherever a file with a published checksum came from."""
        record: dict[str, Any] = {"sha256": self.entry.sha256, "bytes": self.entry.bytes}
        record["origin"] = self.entry.origin
        if self.entry.substitute:
            record["substitute"] = self.entry.substitute
        elif self.source.has_checksum:
            record["origin"] = self.source.urls[0]
        return record | ({"published": self.source.published} if self.source.published else {})


def names() -> list[str]:
    """Everything that can be fetched."""
    return sorted(_configs())


def load(name: str) -> Dataset:
    """The configuration called `name`. Raises ConvlabError for an unknown name or a bad entry."""
    configs = _configs()
    if name not in configs:
        known = [near(name, configs), f"Known: {', '.join(names())}."]
        raise ConvlabError(f"there is nothing to fetch called '{name}'. {' '.join(filter(None, known))}")
    file, config = configs[name]
    try:
        sources = [Source(**entry) for entry in config["sources"]]
        return Dataset(name, project_dir() / config["dir"], sources)
    except (KeyError, TypeError) as error:
        raise ConvlabError(f"{file}: expected `dir` and `sources` of path, urls, ...: {error}") from None


def obtain(source: Source, mirror: Mirror | None, downloads: Path) -> Fetched:
    """The file of `source`: the mirror's if it has one, else from the first URL that serves it.

    Raises ConvlabError that names each place that was tried and its reason.
    """
    if mirror and (fetched := _from_mirror(source, mirror, downloads)):
        return fetched
    reasons = []
    for url in source.urls:
        try:
            path = download(url, source.expected, downloads, source.name)
        except Unavailable as error:
            reasons.append(f"\n  {url}: {error}")
            continue
        entry = Entry(file_hash(path), path.stat().st_size, origin=url)
        return Fetched(source, path, entry, url, local=True, disposable=not source.has_checksum)
    raise ConvlabError(
        f"cannot fetch {source.path}. Tried{''.join(reasons)}\n"
        "Run the same command again when the connection is back (what has arrived is kept), or set "
        "CONVLAB_MIRROR to a mirror that `convlab mirror` made on a connected machine."
    )


def _from_mirror(source: Source, mirror: Mirror, downloads: Path) -> Fetched | None:
    entry = mirror.entries.get(source.path)
    try:
        path = mirror.file(source.path, downloads) if entry else None
        if path and entry and not entry.substitute and (problem := source.expected.problem(path)):
            raise Unavailable(f"{problem}, and the manifest doesn't mark it as a substitute")
    except Unavailable as error:
        raise ConvlabError(
            f"{source.path} in the mirror {mirror.location}: {error}. Put the right file there (`convlab "
            "mirror` does), or unset CONVLAB_MIRROR to use the published URLs; then run this again."
        ) from None
    if path is None or entry is None:
        console.print(f"{source.path} is not in the mirror {mirror.location}: trying its URLs", markup=False)
        return None
    if entry.substitute:
        warn(f"{source.path}: the mirror has a substitute for the published file: {entry.substitute}")
    return Fetched(source, path, entry, mirror.location, local=path.is_relative_to(downloads))


def _configs() -> dict[str, tuple[Path, dict[str, Any]]]:
    """name -> its file and content, for each configuration that lists sources."""
    found = {}
    for group in ("data", "backbone"):
        for file in conf_groups().get(group, {}).values():
            config: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
            if isinstance(config, dict) and "sources" in config:
                found[file.stem] = (file, config)
    return found

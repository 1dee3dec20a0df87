"""A published data set or weights in their folder: verified, and all or nothing."""

import os
import shutil
import time
from pathlib import Path

from filelock import FileLock

from convlab.base import provenance
from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir, state_dir
from convlab.data.fetching import mirrors, sources
from convlab.data.fetching.archives import unpack
from convlab.data.fetching.mirrors import Mirror
from convlab.data.fetching.sources import Dataset, Fetched
from convlab.data.fetching.verification import verify


def fetch_all(names: list[str], force: bool = False) -> None:
    """Fetch each name in turn, from CONVLAB_MIRROR first; the first failure ends it, as a ConvlabError."""
    datasets = [sources.load(name) for name in names]
    mirror = mirrors.chosen()
    for dataset in datasets:
        try:
            fetch(dataset, mirror, force)
        except OSError as error:
            raise ConvlabError(
                f"{dataset.name}: {error}. What has arrived is kept: run the same command again "
                "when that is mended."
            ) from error


def fetch(dataset: Dataset, mirror: Mirror | None, force: bool = False) -> None:
    """Make `dataset.dir` complete; it is either as it was or as it should be, at any moment."""
    start = time.monotonic()
    state_dir().mkdir(parents=True, exist_ok=True)
    incoming = dataset.dir.with_name(f".{dataset.dir.name}.incoming")
    replaced = dataset.dir.with_name(f".{dataset.dir.name}.replaced")
    with FileLock(state_dir() / f"fetch-{dataset.name}.lock"):
        if replaced.exists() and not dataset.dir.exists():  # a run was killed between its last two steps
            replaced.rename(dataset.dir)
        for left_over in (incoming, replaced):
            shutil.rmtree(left_over, ignore_errors=True)
        if _is_done(dataset, force):
            return
        fetched = [sources.obtain(source, mirror, state_dir() / "downloads") for source in dataset.sources]
        try:
            assemble(dataset, fetched, incoming)
            if dataset.dir.exists():
                dataset.dir.rename(replaced)
            incoming.rename(dataset.dir)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    console.print(f"{_summary(dataset)}, in {time.monotonic() - start:.1f} s", markup=False)


def assemble(dataset: Dataset, fetched: list[Fetched], folder: Path) -> None:
    """Make the new `folder` of `fetched`: unpack or copy, check the content, note the provenance.

    Raises ConvlabError when the content is wrong; a download of ours that no checksum had vouched for
    is deleted then.
    """
    folder.mkdir(parents=True)
    try:
        for file in fetched:
            if file.source.unpack:
                unpack(file.path, file.source.unpack, folder, file.source.path)
            else:
                shutil.copyfile(file.path, folder / file.source.name)
        verify(folder, dataset.sources, {file.source.path for file in fetched if file.entry.substitute})
    except ConvlabError as error:
        for file in fetched:
            if file.disposable:
                file.path.unlink(missing_ok=True)
        origins = "\n  ".join(f"{file.source.path} from {file.place}" for file in fetched)
        raise ConvlabError(
            f"{str(error).replace(str(folder), dataset.name)}\n"
            f"{dataset.name} is left as it was. Fetched:\n  {origins}\n"
            "Run the same command again; if it stays like this, that place has the wrong file: use another "
            "(CONVLAB_MIRROR, or `urls` in the configuration)."
        ) from None
    provenance.write(folder, {file.source.path: file.record for file in fetched})


def _is_done(dataset: Dataset, force: bool) -> bool:
    """Whether nothing is left to do. Raises ConvlabError rather than let files of others be replaced."""
    folder = dataset.dir
    if not folder.exists() or not any(folder.iterdir()):
        return False
    problem = _problem(dataset)
    if problem is None and not force:
        console.print(f"{_summary(dataset)}: already there and intact", markup=False)
        for note in provenance.substitutes(folder):
            warn(f"{note} (a substitute; --force asks for the published file again)")
        return True
    if added := provenance.added(folder):
        raise ConvlabError(
            f"{folder} has to be replaced ({problem or '--force'}), but holds files that convlab did not "
            f"fetch, {added[0]} for one ({len(added)} in all). Move them away, then run this again."
        )
    console.print(f"{dataset.name}: fetching again ({problem or '--force'})", markup=False)
    return False


def _problem(dataset: Dataset) -> str | None:
    record = provenance.read(dataset.dir)
    if record is None:
        return f"{provenance.NAME} is missing or unreadable"
    published = {path: entry.get("published", {}) for path, entry in record["files"].items()}
    if published != {source.path: source.published for source in dataset.sources}:
        return "the configuration lists other files now"
    if problem := provenance.problem(dataset.dir):
        return problem
    stand_ins = {path for path, entry in record["files"].items() if entry.get("substitute")}
    try:
        verify(dataset.dir, dataset.sources, stand_ins)
    except ConvlabError as error:
        return str(error)
    return None


def _summary(dataset: Dataset) -> str:
    record = provenance.read(dataset.dir) or {"contents": {}}
    sizes = [(dataset.dir / name).stat().st_size for name in record["contents"]]
    place = os.path.relpath(dataset.dir, project_dir())
    return f"{dataset.name}: {len(sizes):,} files, {sum(sizes) / 1e6:,.1f} MB in {place}"

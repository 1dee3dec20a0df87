"""Build a mirror of every source, to carry to a machine without internet.

usage: convlab mirror DIR [NAME...]

Fetches the files of every configuration in conf/data/ and conf/backbone/ that lists `sources`, or of
the NAMEs given, and checks them as `convlab fetch` does. DIR then holds them as published, with a
manifest.json that lists each file's sha256, size and origin. Carry DIR over as a folder, or serve it
with any web server, and let CONVLAB_MIRROR name it there.

The same command resumes after an interruption, and keeps every file that is already there and
right. If CONVLAB_MIRROR is set, that mirror is copied from first, and files that it marks as substitutes
stay marked; without it, substitutes in DIR are replaced by the published files.

examples:
  convlab mirror /media/usb/mirror
  convlab mirror /srv/www/mirror mnist flowers
  CONVLAB_MIRROR=https://intranet/mirror convlab mirror ./mirror mnist
"""

import argparse
import shutil
from pathlib import Path

from filelock import FileLock

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.data.fetching import mirrors, sources
from convlab.data.fetching.datasets import assemble
from convlab.data.fetching.mirrors import Entry, Mirror
from convlab.data.fetching.sources import Dataset, Fetched, Source


def run(args: list[str]) -> int:
    """Complete the mirror one dataset after the other."""
    parser = argparse.ArgumentParser(prog="convlab mirror", add_help=False)
    parser.add_argument("dir", metavar="DIR", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args(args)
    folder: Path = options.dir.expanduser().resolve()
    datasets = [sources.load(name) for name in options.names or sources.names()]
    origin = mirrors.chosen()
    partial = folder / ".partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with FileLock(partial / "lock"):
            for dataset in datasets:
                mirror(dataset, folder, origin)
            shutil.rmtree(partial)
    except OSError as error:
        raise ConvlabError(
            f"{error}. What has arrived is kept: run the same command again when that is mended."
        ) from error
    num_bytes = sum(entry.bytes for entry in mirrors.read(str(folder)).values())
    console.print(f"{num_bytes / 1e6:,.1f} MB in {folder}", markup=False)
    console.print(f"use it with: CONVLAB_MIRROR={folder} convlab fetch ...", markup=False)
    return 0


def mirror(dataset: Dataset, folder: Path, origin: Mirror | None) -> None:
    """Bring the files of `dataset` into the mirror in `folder`; list them when all of them are right."""
    entries = mirrors.read(str(folder)) if (folder / mirrors.NAME).exists() else {}
    files = [
        _kept(source, folder, entries.get(source.path), origin)
        or sources.obtain(source, origin, folder / ".partial" / "downloads")
        for source in dataset.sources
    ]
    new = [file for file in files if file.path != folder / file.source.path]
    if new:
        trial = folder / ".partial" / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        assemble(dataset, files, trial)
        shutil.rmtree(trial)
    for file in new:
        _place(file, folder / file.source.path)
    mirrors.write(folder, entries | {file.source.path: file.entry for file in files})
    console.print(f"{dataset.name}: {len(new)} new, {len(files) - len(new)} already there", markup=False)


def _kept(source: Source, folder: Path, entry: Entry | None, origin: Mirror | None) -> Fetched | None:
    """The file that is already in the mirror, if it is the one that belongs there."""
    path = folder / source.path
    if entry is None or not path.is_file() or entry.expected.problem(path):
        return None
    if entry.substitute:
        wanted = origin is not None and origin.entries.get(source.path) == entry
    else:
        wanted = source.expected.problem(path) is None
    return Fetched(source, path, entry, str(folder), local=False) if wanted else None


def _place(file: Fetched, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.local:
        file.path.replace(path)
    else:
        arriving = path.with_name(f".{path.name}")
        shutil.copyfile(file.path, arriving)
        arriving.replace(path)

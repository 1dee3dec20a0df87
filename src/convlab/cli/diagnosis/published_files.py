"""What can be fetched: the mirror that CONVLAB_MIRROR names, and what the project has already."""

import os
from pathlib import Path

from convlab.base import provenance
from convlab.base.addresses import without_passwords
from convlab.base.errors import ConvlabError
from convlab.cli.diagnosis.finding import Finding, ok, problem, some, warning
from convlab.data.fetching import mirrors, sources
from convlab.data.fetching.mirrors import Entry
from convlab.data.fetching.retries import Transient, Unavailable, request
from convlab.data.fetching.sources import Dataset

UNSET = "unset CONVLAB_MIRROR to use the published addresses, or make one with `convlab mirror`"


def look() -> list[Finding]:
    try:
        datasets = [sources.load(name) for name in sources.names()]
    except ConvlabError as error:
        return [problem("configuration", str(error), "git diff conf/")]
    return [_mirror(datasets), *_fetched(datasets)]


def _mirror(datasets: list[Dataset]) -> Finding:
    location = os.environ.get("CONVLAB_MIRROR")
    if not location:
        return ok("mirror", "CONVLAB_MIRROR is not set: files come from their published addresses")
    shown = without_passwords(location)
    try:
        entries = _manifest(location)
    except (ConvlabError, Transient, Unavailable) as error:
        reason = without_passwords(str(error).split(". Correct CONVLAB_MIRROR")[0])
        return problem("mirror", reason if shown in reason else f"{shown}: {reason}", UNSET)
    paths = {source.path for dataset in datasets for source in dataset.sources}
    listed = sorted(paths & set(entries))
    if broken := [path for path in listed if not _is_there(location, path, entries[path])]:
        text = f"{shown} lists files that are missing or of another size: {some(broken)}"
        return problem("mirror", text, f"convlab mirror {shown}")
    substitutes = [path for path in listed if entries[path].substitute]
    text = f"{shown}: {len(listed)} of {len(paths)} files"
    if substitutes:
        text += f", {len(substitutes)} of them a substitute for the published one"
    lacking = [each.name for each in datasets if not {source.path for source in each.sources} <= set(entries)]
    if lacking:
        text += f"; lacks files of {some(lacking)}"
        return warning("mirror", text, "what it lacks is asked from the published addresses")
    return ok("mirror", text)


def _manifest(location: str) -> dict[str, Entry]:
    """As `mirrors.read`, but asked once: to try again would only make one wait for the same answer."""
    if not location.startswith(("http://", "https://")):
        return mirrors.read(location)
    place = f"{location.rstrip('/')}/{mirrors.NAME}"
    with request(place) as response:
        return mirrors.parse(bytes(response.raw.read(mirrors.MAX_MANIFEST_BYTES)), place)


def _is_there(location: str, path: str, entry: Entry) -> bool:
    """Whether the file has the listed size; of a URL, that is for `convlab fetch` to see."""
    if location.startswith(("http://", "https://")):
        return True
    file = Path(location).expanduser() / path
    return file.is_file() and file.stat().st_size == entry.bytes


def _fetched(datasets: list[Dataset]) -> list[Finding]:
    present = [each for each in datasets if each.dir.is_dir() and any(each.dir.iterdir())]
    absent = [each.name for each in datasets if each not in present]
    findings = []
    for dataset in present:
        record = provenance.read(dataset.dir)
        contents = record["contents"] if record else {}
        lost = [name for name in contents if not (dataset.dir / name).is_file()]
        if record is None or lost:
            what = (
                f"{len(lost)} of {len(contents)} files missing, {lost[0]} for one"
                if lost
                else f"no {provenance.NAME}"
            )
            text = f"{dataset.dir}: {what}"
            findings.append(problem(dataset.name, text, f"convlab fetch {dataset.name}"))
    names = [each.name for each in present]
    text = f"fetched: {', '.join(names) or 'nothing'}"
    if absent:
        text += f"; not yet: {', '.join(absent)} (`convlab fetch NAME`)"
    return [*findings, ok("data and weights", text)]

"""What the owner of a photo folder should know: what is left out, contradicts itself or is doubtful."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from convlab.base.console import console, warn
from convlab.data import photo_files
from convlab.data.index import Row
from convlab.data.looks import Leak
from convlab.data.photos import PhotoFolder
from convlab.data.splits import SPLITS

LISTED = 10  # unreadable photos on the screen
NAMED = 5  # classes in a sentence
SMALL_CLASS = 20  # photos; below this a class is learnt and measured poorly


def before_reading(folder: PhotoFolder) -> list[str]:
    """What names and bytes tell: repeats, contradictions, ignored files, names alike."""
    found = []
    kept = {(photo.content_hash, photo.class_name): photo.split for photo in folder.photos}
    leaked = [each for each in folder.repeats if each.split != kept[each.content_hash, each.class_name]]
    plain = [each for each in folder.repeats if each.split == kept[each.content_hash, each.class_name]]
    if plain:
        found.append(
            f"files that repeat a photo of their own class, left out: {len(plain):,}, "
            f"for instance {plain[0].path}"
        )
    if leaked:
        found.append(
            "photos that lie in more than one split, kept in one (test before val before train): "
            f"{len(leaked):,}, for instance {leaked[0].path}"
        )
    shared: dict[str, list[str]] = {}
    for one, other in pairwise(folder.photos):
        if one.content_hash == other.content_hash:
            shared.setdefault(one.content_hash, [one.path]).append(other.path)
    if shared:
        found.append(
            f"photos in more than one class, which no classifier can learn: {len(shared):,}, "
            f"for instance {' = '.join(next(iter(shared.values())))}"
        )
    if folder.classless:
        found.append(
            f"photos in no class folder, left out: {len(folder.classless):,}, "
            f"for instance {folder.classless[0]}"
        )
    if folder.ignored:
        kinds = photo_files.left_out(each for suffixes in folder.ignored.values() for each in suffixes)
        found.append(f"ignored files that are not of a known image type: {kinds}")
    alike = defaultdict(list)
    for name in sorted({photo.class_name for photo in folder.photos}):
        alike[unicodedata.normalize("NFKC", name).casefold()].append(name)
    if pairs := [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]:
        found.append(
            f"classes whose names differ in case or in Unicode form only, yet count as two: {listed(pairs)}"
        )
    return found


def after_reading(
    folder: PhotoFolder,
    failed: dict[str, str],
    doubtful: dict[str, str],
    rows: Sequence[Row],
    leaked: Leak | None = None,
) -> list[str]:
    """What decoding and dividing told. failed, doubtful: content hash -> why."""
    return [
        *([leak_warning(leaked)] if leaked else []),
        *_lost_classes(folder, failed),
        *_doubts(folder, doubtful),
        *class_warnings((row.class_name, row.split) for row in rows),
    ]


def leak_warning(leaked: Leak) -> str:
    """Of test photos that are nearly the same as others."""
    one, other = leaked.example
    return (
        f"test photos that look like one trained on: {leaked.number:,}, for instance {one} like {other}. "
        "What is measured on them looks better than it is"
    )


def _doubts(folder: PhotoFolder, doubtful: dict[str, str]) -> list[str]:
    """A message for each kind of doubt."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for photo in folder.photos:
        if photo.content_hash in doubtful:
            kinds[doubtful[photo.content_hash]].append(photo.path)
    return [
        f"doubtful photos, used all the same: {len(paths):,}, for instance {paths[0]}: {why}"
        for why, paths in sorted(kinds.items())
    ]


def _lost_classes(folder: PhotoFolder, failed: dict[str, str]) -> list[str]:
    """One message that names the class folders from which no photo can be used; or none."""
    every = {photo.class_name for photo in folder.photos}
    usable = {photo.class_name for photo in folder.photos if photo.content_hash not in failed}
    lost = []
    for name in sorted(folder.classes - usable):
        if name in every or any(name in path.split("/") for path in folder.unreadable):
            why = "none that can be read"
        else:
            why = f"only {photo_files.left_out(folder.ignored[name])}" if name in folder.ignored else "empty"
        lost.append(f"{name} ({why})")
    return [f"class folders without a photo to use, left out: {listed(lost)}"] if lost else []


def class_warnings(splits: Iterable[tuple[str, str]]) -> list[str]:
    """One message for the small classes and one for empty splits, from (class, split) of each photo."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for class_name, split in splits:
        counts[class_name][split] += 1
    found = []
    if small := [
        f"{name} {each.total()}" for name, each in sorted(counts.items()) if each.total() < SMALL_CLASS
    ]:
        found.append(
            f"classes with under {SMALL_CLASS} photos, too few to learn or measure well: {listed(small)}"
        )
    if empty := [
        f"{name} in {split}" for name in sorted(counts) for split in SPLITS if not counts[name][split]
    ]:
        found.append(f"no photo of {listed(empty)}: what is learnt or measured there says nothing of it")
    return found


def tell_unused(unused: dict[str, str], where: str = "") -> None:
    """Warn of photos that can't be used, path -> reason; `where` names the file that lists them all."""
    if unused:
        listed = f" ({where})" if where else ""
        warn(f"photos that could not be read, left out: {len(unused):,}{listed}")
    for path, reason in sorted(unused.items())[:LISTED]:
        console.print(f"  {path}: {reason}", markup=False)


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are: a sentence stays one, whatever the number."""
    every = list(names)
    more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more

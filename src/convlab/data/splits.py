"""Which photo is for training, validation or test: its content decides, and nothing else.

Identical files are always on the same side, and renaming, moving or adding photos moves no other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from convlab.base.errors import ConvlabError

SPLITS = ("train", "val", "test")
SMALL_CLASS = 20  # photos; below this a class is learnt and measured poorly


def split_of(content_hash: str, val: float, test: float) -> str:
    """train, val or test. `val` and `test` are shares of 1; the rest is for training.

    The hash's leading 52 bits, read as a number in [0, 1), are below `test`, below `test + val`, or above.
    """
    position = int(content_hash[:13], 16) / 16**13
    if position < test:
        return "test"
    return "val" if position < test + val else "train"


def check_shares(val: float, test: float) -> None:
    """Raise ConvlabError unless both are shares that leave something to train on."""
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise ConvlabError(
            f"split.val={val} and split.test={test} must be shares of 1, and leave some for training"
        )


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
            f"classes with under {SMALL_CLASS} photos, too few to learn or measure well: {', '.join(small)}"
        )
    if empty := [
        f"{name} in {split}" for name in sorted(counts) for split in SPLITS if not counts[name][split]
    ]:
        found.append(
            f"no photo of {', '.join(empty)}: the split is by content, so small classes can miss one"
        )
    return found

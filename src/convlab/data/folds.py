"""Cross-validation: which examples a fold keeps out of training, by their content."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError

Rows = dict[str, NDArray[np.int64]]


def deal(contents: Sequence[str], labels: Sequence[int], count: int) -> NDArray[np.int64]:
    """The fold of each example, 1 to `count`, from a hash of its content and its class.

    Each class's distinct contents are dealt out in turn in the order of their hashes, the next class goes on
    where the last one ended. So folds and classes in them differ by one content at most, and neither name nor
    place nor date of a file plays a part; equal contents of a class are in the same fold.
    """
    found = defaultdict[int, set[str]](set)
    for content, label in zip(contents, labels, strict=True):
        found[label].add(content)
    order = [(label, content) for label in sorted(found) for content in sorted(found[label])]
    dealt = {each: place % count + 1 for place, each in enumerate(order)}
    return np.array([dealt[each] for each in zip(labels, contents, strict=True)], dtype=np.int64)


def hold_out(rows: Rows, contents: Sequence[str], labels: Sequence[int], fold: dict[str, int]) -> Rows:
    """`rows` (indices by split) with a fold of the training and validation examples as "test".

    The others stay what they were: trained on, or held out to choose the epoch by. What "test" was before is
    in none. contents and labels: of every example that rows may point to.

    Args:
        fold: its `index`, from 1, and the `count` of folds.
    """
    known = isinstance(fold, dict) and all(type(fold.get(key)) is int for key in ("index", "count"))
    if not known or fold["count"] < 2 or not 1 <= fold["index"] <= fold["count"]:
        raise ConvlabError(
            f"data.module.fold={fold}: expected {{index: 1, count: 5}}, whole numbers, count at least 2, and "
            "index from 1 to count."
        )
    index, count = fold["index"], fold["count"]
    pool = np.sort(np.concatenate([rows["train"], rows["val"]]))
    dealt = deal([contents[row] for row in pool], [int(labels[row]) for row in pool], count)
    held = pool[dealt == index]
    folded = {split: rows[split][~np.isin(rows[split], held)] for split in ("train", "val")} | {"test": held}
    for split, left in folded.items():
        if not len(left):
            raise ConvlabError(
                f"data.module.fold={fold}: no image is left for the {split} split. Add images, or change the "
                "number of folds."
            )
    return folded

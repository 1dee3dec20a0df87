"""What the image browser shows, as JSON in a page; and its script and style, which the page has inline.

A page may have several models, each with its answers on a set of images. Numbers travel as the bytes of typed
arrays, little-endian and in base64: ten thousand images of three answers each take 200 kB. Class names and
paths are foreign text: the script writes them as text only.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

TOP = 3  # answers an image, the likeliest first
SCRIPTS = ("pictures.js", "answers.js", "cards.js", "filters.js", "closeup.js", "browser.js")
FOLDER = Path(__file__).parent


def images(
    classes: Sequence[str],
    labels: ArrayLike | None,
    paths: Sequence[str] | None,
    pictures: dict[str, Any] | None,
    note: str = "",
) -> dict[str, Any]:
    """A set of images. pictures: of `sheets` or `embedded`; note: in place of what is not known of them.

    labels: indices n of the true classes; None where they are unknown.
    """
    return {
        "classes": list(classes),
        "labels": None if labels is None else packed(labels, "<u2"),
        "paths": None if paths is None else _shortened(paths),
        "pictures": pictures,
        "note": note,
    }


def sheets(listed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pictures on sheets, each with `src`, `cell` w h, `columns` and the thumbnails' `sizes`."""
    return {"sheets": [each | {"sizes": _same(each["sizes"])} for each in listed]}


def embedded(addresses: Sequence[str]) -> dict[str, Any]:
    """Pictures with an address each."""
    return {"embedded": list(addresses)}


def answers(name: str, place: int, best: ArrayLike, probabilities: ArrayLike) -> dict[str, Any]:
    """A model's answers on set `place`: classes n t, the likeliest first, and their probabilities n t."""
    found = np.asarray(best)
    return {
        "name": name,
        "set": place,
        "top": found.shape[1],
        "best": packed(found, "<u2"),
        "probabilities": packed(probabilities, "<f4"),
    }


def likeliest(probabilities: ArrayLike, top: int = TOP) -> tuple[np.ndarray, np.ndarray]:
    """Classes n t and probabilities n t of the `top` likeliest, of equal ones the first, from n k."""
    scores = np.asarray(probabilities)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return best, np.take_along_axis(scores, best, axis=1)


def script(models: Sequence[dict[str, Any]], sets: Sequence[dict[str, Any]], root: str) -> Markup:
    """The JSON in an element of its own. root: the address, from the page, that paths are relative to."""
    return as_json("browser-data", {"root": root, "models": list(models), "sets": list(sets)})


def as_json(name: str, content: Any) -> Markup:
    """A script element that holds JSON; nothing in it can end the element, or begin another."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')


def code() -> Markup:
    return Markup("\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS))


def style() -> Markup:
    return Markup((FOLDER / "browser.css").read_text(encoding="utf-8"))


def packed(values: ArrayLike, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()


def _same(sizes: Sequence[Sequence[int]]) -> list[Any]:
    """[number, w, h] where all are equal, else w h w h ..."""
    first = list(sizes[0])
    if all(list(each) == first for each in sizes):
        return [len(sizes), *first]
    return [length for each in sizes for length in each]


def _shortened(paths: Sequence[str]) -> dict[str, Any]:
    first, last = min(paths, default=""), max(paths, default="")
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    before = first[:length]
    return {"before": before, "rest": [path[len(before) :] for path in paths]}

"""Predictions as one self-contained HTML page: the report's image browser, with the pictures in it."""

import base64
import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from convlab.base import templates
from convlab.base.files import atomic_file
from convlab.data.thumbnails import thumbnail
from convlab.runs.report.browser import payload

THUMBNAIL = 320  # pixels, the longer side: 160 on the page, sharp on a phone


class Sheet:
    """Filled photo by photo, written once. title: of the page, the model's name."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self._predictions: list[dict[str, Any]] = []
        self._thumbnails: list[str] = []
        self._truths: list[str | None] = []

    def add(self, prediction: dict[str, Any], content: Path | bytes, truth: str | None = None) -> None:
        """`prediction` as `convlab predict --json` gives it; `content`: the photo's file, or its bytes.

        truth: its true class. The page tells right from wrong where it is known of every photo.
        """
        self._predictions.append(prediction)
        self._thumbnails.append(embedded(content))
        self._truths.append(truth)

    def write(self) -> None:
        """Raises ConvlabError where the file can't be."""
        template = templates.environment(Path(__file__).parent).get_template("sheet.html.jinja")
        text = template.render(
            title=self.title,
            num_photos=len(self._predictions),
            style=payload.style(),
            code=payload.code(),
            browser_data=self._data(),
        )
        with atomic_file(self.path) as file:
            file.write(text.encode())

    def _data(self) -> Any:
        guesses = [[each["class"] for each in photo["classes"]] for photo in self._predictions]
        shares = [[each["probability"] for each in photo["classes"]] for photo in self._predictions]
        truths = [truth for truth in self._truths if truth is not None]
        classes = sorted({name for names in guesses for name in names} | set(truths))
        places = {name: place for place, name in enumerate(classes)}
        known = truths and len(truths) == len(guesses)
        top = len(guesses[0]) if guesses else 0
        best = np.array([[places[name] for name in names] for names in guesses]).reshape(len(guesses), top)
        images = payload.images(
            classes,
            [places[truth] for truth in truths] if known else None,
            [photo["path"] for photo in self._predictions],
            payload.embedded(self._thumbnails),
        )
        folder = Path(os.path.relpath(Path.cwd(), self.path.parent)).as_posix()
        model = payload.answers(self.title, 0, best, np.array(shares).reshape(best.shape))
        return payload.script([model], [images], f"{quote(folder)}/")


def embedded(content: Path | bytes) -> str:
    """A data URI: JPEG, no side above THUMBNAIL; smaller images as they are, since the page enlarges them."""
    file = io.BytesIO()
    thumbnail(content, THUMBNAIL).save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"

"""Predictions as one self-contained HTML page to look through; `sheet.html.jinja` is its text."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from convlab.base import templates
from convlab.base.files import atomic_file
from convlab.data.image_file import open_image

THUMBNAIL = 320  # pixels, the longer side: 160 on the page, sharp on a phone


class Sheet:
    """Filled photo by photo, written once. title: of the page, the model's name."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self._photos: list[dict[str, Any]] = []

    def add(self, prediction: dict[str, Any], content: Path | bytes) -> None:
        """`prediction` as `convlab predict --json` gives it; `content`: the photo's file, or its bytes."""
        self._photos.append(prediction | {"thumbnail": thumbnail(content)})

    def write(self) -> None:
        """Raises ConvlabError where the file can't be."""
        template = templates.environment(Path(__file__).parent).get_template("sheet.html.jinja")
        with atomic_file(self.path) as file:
            file.write(template.render(title=self.title, photos=self._photos).encode())


def thumbnail(content: Path | bytes) -> str:
    """A data URI: JPEG, no side above THUMBNAIL; smaller images as they are, since the page enlarges them."""
    image, file = open_image(content, shorter_side=THUMBNAIL), io.BytesIO()
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    image.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"

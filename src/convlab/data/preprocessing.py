"""From an image file to the numbers a network sees: the one definition for every stage.

Feature extraction, training, prediction and serving all go through `Preprocessing`, and a result keeps
the one it was made with (`to_dict`), so that a photo can't be prepared one way for training and another
for prediction. FORMAT, in the fingerprint, stands for the code here and in `image_file.py`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convlab.base.errors import ConvlabError
from convlab.data.image_file import open_image

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2  # part of the fingerprint: raise it when that code changes what a network sees
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """Plain values that say how an image becomes a tensor.

    size: pixels, height and width after resizing.
    channels: 3 for RGB, 1 for grey.
    pixel_mean, pixel_std: per channel (one value serves all), in units of 0..255. The network sees
        (pixel - pixel_mean) / pixel_std.
    resize: "squash" to a square whatever the ratio of the sides, as TensorFlow's retrain example does;
        "crop" scales the shorter side to `size`, then cuts the centre.
    interpolation: a key of INTERPOLATIONS; shrinking averages over all the pixels covered.
    pad: pixels of black added on each side after resizing (LeNet-5 sees 28x28 digits in 32x32).
    """

    size: int
    channels: int
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    resize: str = "squash"
    interpolation: str = "bilinear"
    pad: int = 0

    def __post_init__(self) -> None:
        _require(self.channels in (1, 3), f"channels must be 1 or 3, not {self.channels}")
        _require(
            self.size > 0 and self.pad >= 0, f"size {self.size} or pad {self.pad} is no number of pixels"
        )
        _require(self.resize in ("squash", "crop"), f"resize must be squash or crop, not '{self.resize}'")
        _require(
            self.interpolation in INTERPOLATIONS,
            f"interpolation must be one of {', '.join(INTERPOLATIONS)}, not '{self.interpolation}'",
        )
        for name in ("pixel_mean", "pixel_std"):
            values = tuple(float(value) for value in getattr(self, name))
            _require(
                len(values) in (1, self.channels),
                f"{name} has {len(values)} values for {self.channels} channels",
            )
            object.__setattr__(self, name, values * (self.channels // len(values)))
        _require(all(std > 0 for std in self.pixel_std), f"pixel_std must be above zero: {self.pixel_std}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """c h w of what the network sees, padding included."""
        side = self.size + 2 * self.pad
        return self.channels, side, side

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and YAML."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """Reverse `to_dict`; raises ConvlabError for an unknown or missing name."""
        known = {field.name for field in fields(cls)}
        _require(
            set(values) <= known,
            f"unknown {', '.join(sorted(set(values) - known))}; known: {', '.join(sorted(known))}",
        )
        try:
            return cls(**values)
        except TypeError as error:
            raise ConvlabError(f"preprocessing: {error}") from None

    def fingerprint(self) -> str:
        """sha256 hex, the same for equal values on any machine; changes with this file's FORMAT."""
        canonical = json.dumps({"format": FORMAT, **self.to_dict()}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def __call__(self, image: Image.Image) -> "Tensor":
        """float32 c h w, ready for the network."""
        return self.normalize(self.pixels(image)[None])[0]

    def open(self, source: Path | str | bytes | BinaryIO, limit: int | None = None) -> Image.Image:
        """`open_image`, with large JPEGs decoded at the scale this preprocessing needs."""
        return open_image(source, shorter_side=2 * self.size, limit=limit)

    def pixels(self, image: Image.Image) -> "Tensor":
        """`array` as a tensor."""
        import torch

        return torch.from_numpy(self.array(image))

    def array(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 c h w, h = w = `size`; colour becomes grey where there is one channel (ITU-R 601 luma)."""
        image = image.convert("RGB" if self.channels == 3 else "L")
        filter = INTERPOLATIONS[self.interpolation]
        square = (self.size, self.size)
        if self.resize == "crop":
            image = ImageOps.fit(image, square, filter)
        elif image.size != square:
            image = image.resize(square, filter)
        array = np.array(image).reshape(self.size, self.size, self.channels)
        return np.ascontiguousarray(array.transpose(2, 0, 1))

    def normalize(self, pixels: "Tensor") -> "Tensor":
        """float32 n c h w from uint8 n c h w: pads with black, then (pixel - mean) / std."""
        import torch

        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != self.channels:
            raise ValueError(
                f"expected uint8 n {self.channels} h w, got {pixels.dtype} of shape {tuple(pixels.shape)}"
            )
        if self.pad:
            pixels = torch.nn.functional.pad(pixels, (self.pad,) * 4)
        mean, std = (
            torch.tensor(values, device=pixels.device).view(-1, 1, 1)
            for values in (self.pixel_mean, self.pixel_std)
        )
        return pixels.float().sub_(mean).div_(std)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConvlabError(f"preprocessing: {message}")

"""From photos to classes, whatever computes it. Imports no torch."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlab.data.preprocessing import Preprocessing

BATCH_SIZE = 16  # photos
Photo = Path | bytes | Image.Image  # a file, its bytes, or what `Preprocessing.open` makes of them


@dataclass(frozen=True)
class Predictor(ABC):
    """classes: their names, in the order of the probabilities."""

    preprocessing: Preprocessing
    classes: Sequence[str]

    def __call__(self, photos: Iterable[Photo]) -> NDArray[np.float32]:
        """Probabilities n num_classes. Raises UnreadableImage for a file that is no image.

        Never more than a batch of photos is in memory, so `photos` may be drawn from a generator.
        """
        photos, parts = iter(photos), [np.empty((0, len(self.classes)), np.float32)]
        while batch := [self.pixels(photo) for photo in islice(photos, BATCH_SIZE)]:
            parts.append(self.probabilities(np.stack(batch)))
        return np.concatenate(parts)

    def pixels(self, photo: Photo) -> NDArray[np.uint8]:
        """uint8 c h w, as the network was trained on them, yet neither padded nor normalized."""
        image = photo if isinstance(photo, Image.Image) else self.preprocessing.open(photo)
        return self.preprocessing.array(image)

    @abstractmethod
    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """n num_classes from n c h w, what `pixels` makes."""

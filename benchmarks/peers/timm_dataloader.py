"""Feature extraction as timm's documentation shows it: an eager model behind a torch DataLoader.

Written after timm's pages "Quickstart" and "Feature Extraction" (huggingface.co/docs/timm): `num_classes=0`,
`resolve_model_data_config`, `create_transform`, `eval`, `inference_mode`; batches of 32, a worker a core.
On a GPU as PyTorch's documentation has it: pinned memory, and convolutions in TF32, its default.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import convlab  # noqa: F401  isort: skip  before timm, beside a build of torch without torchvision's operators
import timm
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from convlab.features.backbone import load_weights

NUM_WORKERS = os.cpu_count() or 1
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Photos(Dataset):
    def __init__(self, paths: Sequence[Path], transform) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def create(architecture: str, weights: Path) -> torch.nn.Module:
    """timm's own `pretrained=True` would download; the file holds the same tensors."""
    model = timm.create_model(architecture, pretrained=False, num_classes=0)
    load_weights(model, weights)
    return model.eval().to(DEVICE)


def extract(model: torch.nn.Module, paths: Sequence[Path]) -> tuple[torch.Tensor, float]:
    """Vectors n d, and the seconds from the loader's start to the last of them."""
    data_config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**data_config, is_training=False)
    start = time.perf_counter()
    loader = DataLoader(
        Photos(paths, transform),
        batch_size=32,
        num_workers=NUM_WORKERS,
        pin_memory=DEVICE.type == "cuda",
    )
    with torch.inference_mode():
        vectors = torch.cat([model(images.to(DEVICE, non_blocking=True)) for images in loader]).cpu()
    return vectors, time.perf_counter() - start

"""Let torchvision be imported beside a torch build it was not compiled for.

torchvision registers fake kernels for its compiled operators `nms` and `qnms` when it is imported.
Beside a CPU build of torch the compiled library may not load, the operators are then unknown, and
importing torchvision (and with it timm and torchmetrics) fails with `operator torchvision::nms does
not exist`. Declaring the two schemas first is enough for transforms, datasets and models; decoders
in `torchvision.io` and the detection operators stay absent. Where the compiled operators load,
nothing is declared.
"""

import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[object] = []  # a torch Library undoes its declarations when it is collected


class _BeforeTorchvision:
    """Import hook that declares the schemas just before torchvision's own code runs, once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            spec = importlib.machinery.PathFinder.find_spec(name)
            if spec is not None and spec.submodule_search_locations:
                declare_if_missing(Path(spec.submodule_search_locations[0]))
        return None


def declare_when_imported() -> None:
    """Install the hook, unless torchvision is already imported (or the hook already there)."""
    if "torchvision" not in sys.modules and not any(
        isinstance(finder, _BeforeTorchvision) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _BeforeTorchvision())


def declare_if_missing(torchvision_dir: Path) -> bool:
    """Declare the two schemas if torchvision's compiled library in `torchvision_dir` does not load.

    Returns whether anything was declared.
    """
    import torch

    for library in sorted(torchvision_dir.glob("_C*.so")) + sorted(torchvision_dir.glob("_C*.pyd")):
        try:
            torch.ops.load_library(library)
        except OSError:
            continue
        return False
    fragment = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        fragment.define(schema)
    _libraries.append(fragment)
    return True

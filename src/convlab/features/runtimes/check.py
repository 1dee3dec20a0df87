"""No vector is kept from a runtime that computes something else than timm's model."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from convlab.base.console import warn
from convlab.features.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-3  # of a vector's length
NUM_IMAGES = 4


class Checked:
    """`chosen`, after its vectors of the first call's first images were found to be those of `plain`.

    Where they are not, or it fails, the user is warned and `plain` computes everything.
    """

    def __init__(self, chosen: Runtime, plain: Runtime) -> None:
        self._chosen, self._plain = chosen, plain
        self._trusted: Runtime | None = None

    def __call__(self, pixels: "Tensor") -> "Callable[[], Tensor]":
        if self._trusted is None:
            self._trusted = self._plain if self._fault(pixels[:NUM_IMAGES]) else self._chosen
        return self._trusted(pixels)

    def _fault(self, pixels: "Tensor") -> bool:
        try:
            found = self._chosen(pixels)()
        except Exception as error:  # of any library
            fault = f"fails: {first_line(error)}"
        else:
            difference = relative_difference(found, self._plain(pixels)())
            if difference <= TOLERANCE:
                return False
            fault = f"gives vectors that are {difference:.2g} of their length off, more than {TOLERANCE:g}"
        warn(
            f"runtime {self._chosen.name} {fault}. PyTorch on the CPU computes instead. (To export the "
            "backbone again, delete runtimes/ in the state directory.)"
        )
        return True


def first_line(error: Exception) -> str:
    """Of what a library says, which can be pages."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def relative_difference(found: "Tensor", expected: "Tensor") -> float:
    """The largest |found - expected| / |expected| of n d vectors; infinite if shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    difference = (found - expected).flatten(1).norm(dim=1)
    length = expected.flatten(1).norm(dim=1)
    return float((difference / length.clamp_min(1e-12)).nan_to_num(float("inf")).max())

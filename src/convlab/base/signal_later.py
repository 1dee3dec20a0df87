"""Let scipy.signal be imported when it is used, and not by torchmetrics: a sixth of a training's imports.

torchmetrics 1.9 looks whether scipy.signal has `hamming`, and gives it that name if not, for one of its audio
metrics. A module that stands in has the name from the start, and becomes the real one with any other.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

NAME = "scipy.signal"


class _Later(ModuleType):
    def hamming(self, *arguments: Any, **more: Any) -> Any:
        """scipy.signal.windows.hamming."""
        return self._real().windows.hamming(*arguments, **more)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # who asks every module, needs none
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
        return importlib.import_module(NAME)


def stand_in() -> None:
    """Put it there, unless scipy.signal is already imported."""
    sys.modules.setdefault(NAME, _Later(NAME))

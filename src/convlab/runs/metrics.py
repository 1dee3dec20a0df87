"""The metrics of a run: the one table that rankings, tables, pages, search and tracking read.

A further metric is a line here, and where it is computed (`training/evaluation.py`). Imports nothing that
takes time: completion reads it.
"""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Metric:
    """One number of a run's metrics.json.

    key: `section/name` there.
    heading: of its column on a terminal; words: on a page; definition: in a model card, `words` if empty.
    share: from 0 to 1, and shown in per cent.
    interval: `<key>_low` and `<key>_high` are its 95 % interval.
    ranks: runs can be ranked by it.
    column: tables always show it; else only where it ranks.
    browsed: a column of MLflow's table of runs.
    """

    key: str
    direction: Direction
    heading: str
    words: str
    definition: str = ""
    share: bool = False
    interval: bool = False
    ranks: bool = True
    column: bool = True
    browsed: bool = False

    @property
    def section(self) -> str:
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        return self.key.partition("/")[2]

    @property
    def form(self) -> str:
        """The format of a value times `scale`."""
        return ".2f" if self.share else ".4f"

    @property
    def scale(self) -> int:
        return 100 if self.share else 1

    @property
    def sign(self) -> int:
        """What makes the best value the smallest."""
        return -1 if self.direction == "maximize" else 1


_TABLE = (
    Metric("test/acc", "maximize", "accuracy %", "accuracy", share=True, interval=True, browsed=True),
    Metric("test/loss", "minimize", "loss", "loss", "cross-entropy", browsed=True),
    Metric("test/ece", "minimize", "ece %", "calibration error", "calibration error (15 bins)", share=True),
    Metric("test_raw/acc", "maximize", "raw %", "accuracy, raw weights", share=True, ranks=False),
    Metric("val/acc", "maximize", "val/acc", "validation accuracy", share=True, column=False, browsed=True),
    Metric("val/loss", "minimize", "val/loss", "validation loss", column=False),
)
METRICS = {metric.key: metric for metric in _TABLE}  # in the order in which they are shown
RANKING = tuple(key for key, metric in METRICS.items() if metric.ranks)
COLUMNS = tuple(metric for metric in METRICS.values() if metric.column)
SHOWN = tuple(
    name
    for key, metric in METRICS.items()
    for name in ((key, f"{key}_low", f"{key}_high") if metric.interval else (key,))
)


def of_section(section: str) -> tuple[Metric, ...]:
    """The metrics of one split: `test`, `test_raw` or `val`."""
    return tuple(metric for metric in METRICS.values() if metric.section == section)

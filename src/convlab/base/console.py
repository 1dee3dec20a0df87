"""What a person sees: one console, and progress that suits a terminal or a log file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

console = Console(highlight=False, soft_wrap=True)
errors = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)  # where output is for programs
LOG_EVERY_S = 10.0


def warn(message: str) -> None:
    """A warning the user should see, whatever they redirect."""
    console.print(f"[bold yellow]warning:[/] {escape(message)}")


@contextmanager
def progress(
    description: str, total: int, *, unit: str = "images", start: int = 0, console: Console = console
) -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`: a bar on a terminal, a line every ten seconds where there is none.

    `unit="bytes"` shows sizes and transfer speed.
    """
    if console.is_terminal:
        counts = (
            (DownloadColumn(), TransferSpeedColumn())
            if unit == "bytes"
            else (MofNCompleteColumn(), TextColumn(unit))
        )
        columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(description, total=total, completed=start)
            yield lambda n: bar.advance(task, n)
        return
    done, next_line = start, time.monotonic() + LOG_EVERY_S

    def advance(n: int) -> None:
        nonlocal done, next_line
        done += n
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + LOG_EVERY_S
            share = f" ({done / total:.0%})" if total else ""
            console.print(f"{description}: {done:,} of {total:,} {unit}{share}", markup=False)

    yield advance

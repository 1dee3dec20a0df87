"""Telling MLflow: first into the outbox, from there to the server as soon as it answers."""

import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

from convlab.runs.run import Run
from convlab.tracking import delivery, reach
from convlab.tracking.mlflow_runs import accepted, now
from convlab.tracking.outbox import Outbox

FILES = ("trained", "measured", "shown", "result")  # what is told with files, which take their time


class Sender:
    """What is told of the run, or group, in `directory`. Only the thread that trains sends."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.outbox, self.to = directory, Outbox(directory), reach.address()

    def tell(self, do: str, run: str, experiment: str, **facts: Any) -> None:
        """Note an event; it is sent by `send`."""
        self.outbox.append(
            {"do": do, "to": self.to, "run": run, "experiment": experiment, "at": now(), **facts}
        )

    def tell_metrics(self, run: str, experiment: str, metrics: dict[str, float], step: int) -> None:
        self.tell("metrics", run, experiment, metrics=measured(metrics, step))

    def send(self, at_once: bool = True, seconds: float = math.inf) -> bool:
        """Send what waits; whether nothing is left. Never raises for a server that is away: it says so once.

        at_once: ask a server that was away a moment ago, too. seconds: begin nothing new after so long.
        """
        if not (at_once or reach.due()):
            return False
        try:
            self.drain(seconds)
        except reach.FAILURES as error:
            reach.lost(error, self.outbox.path)
            return False
        everything = not self.outbox.waiting(self.to)
        reach.found(everything)
        return everything

    def drain(self, seconds: float = math.inf) -> Counter[str]:
        """Send what waits, the oldest first; returns how much of what. Raises what `reach.FAILURES` lists."""
        sent, end = Counter[str](), time.monotonic() + seconds
        if not self.outbox.path.is_file():
            return sent
        reach.check()
        with self.outbox.taking(self.to) as waiting:
            while waiting and time.monotonic() < end:
                events = delivery.next_ones(waiting)
                parent = events[0].get("parent")
                if parent and parent.startswith(delivery.KEY):  # the group comes first
                    sent += Sender(self.directory.parent).drain()
                with reach.patience(reach.FILES_S if events[0]["do"] in FILES else reach.REQUEST_S):
                    sent += delivery.deliver(events, Run(self.directory))
                for _ in events:
                    waiting.popleft()
        return sent


def measured(metrics: dict[str, float], step: int = 0) -> list[tuple[str, float, int, int]]:
    """As MLflow keeps them, with the time of now."""
    at = now()
    return [(name, value, at, step) for name, value in accepted(metrics).items()]

"""Send MLflow what it lacks, because its server was away.

usage: convlab sync [RUN...]        RUN: a name under runs/, or a run's directory; none: every run and sweep

While the server that MLFLOW_TRACKING_URI names can't be reached, trainings go on. What they would have told
it (every step's metrics, with their times, parameters, tags, files, the model) waits in
runs/<name>/unsent.jsonl. A training tries again every half a minute; this verb sends what is left at its end.
Runs that MLflow does not know are begun in it, under their sweep. Interrupt it as you like: nothing is sent
twice. A line for each run says what was sent; the exit status is 1 where something still waits.

examples
  convlab sync
  MLFLOW_TRACKING_URI=http://tracking:5000 convlab sync lenet
"""

import argparse
from collections import Counter
from pathlib import Path

from convlab.base.console import console
from convlab.cli.words import counted
from convlab.runs.run import Run
from convlab.tracking import outbox

AT_ONCE_S = 1.0  # a training that goes on in the directory gets its turn in between
ORDER = ("runs", "metrics", "files", "models")


def run(args: list[str]) -> int:
    """Send what waits; 1 if some can't be sent."""
    parser = argparse.ArgumentParser(prog="convlab sync", add_help=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    names = parser.parse_args(args).runs
    found = [Run.find(name).directory for name in names] if names else outbox.directories()
    directories = [directory for directory in found if outbox.Outbox(directory).waiting()]
    if not directories:
        console.print("Nothing waits: MLflow was told everything.")
        return 0
    from convlab.tracking import reach  # imports MLflow

    reach.demand()
    done = [_send(directory) for directory in directories]
    return int(not all(done))


def _send(directory: Path) -> bool:
    """Send what waits in `directory`, and say so; whether nothing is left."""
    from convlab.tracking import reach
    from convlab.tracking.sending import Sender

    name, sender, sent = Run(directory).argument, Sender(directory), Counter[str]()
    try:
        while sender.outbox.waiting(sender.to):
            sent += sender.drain(AT_ONCE_S)
    except reach.FAILURES as error:
        console.print(f"{name}: {reach.failure(error)}.", markup=False)
        return False
    if sent.total():
        what = ", ".join(counted(sent[word], word) for word in ORDER if sent[word])
        console.print(f"{name}: {what} sent to {sender.to}", markup=False)
    others = sorted({event["to"] for event in sender.outbox.waiting()})
    for address in others:
        text = f"{name}: waits for {address}, and MLFLOW_TRACKING_URI names {sender.to}. Correct it."
        console.print(text, markup=False)
    return not others

"""What it costs to begin, and to find that nothing is to be done: seconds of whole processes.

usage: .venv/bin/python benchmarks/bench_startup.py [--repeat 5]

No peer: the goals are seconds, but for `convlab train`, whose start is set against a process that only
imports torch and pytorch_lightning. `dvc repro` is timed where the pipeline is up to date; give it once
before. Needs datasets/mnist (`convlab fetch mnist`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import Figure, record

from convlab.base.console import console

ROOT = Path(__file__).parents[1]
IMPORTS = "import convlab, torch, pytorch_lightning"
# ends where the first step would begin
UNTIL_FIRST_STEP = """
import os, sys
from convlab.cli import main as cli
dispatch = cli._dispatch
def until_first_step(words):
    import convlab.training.callbacks
    convlab.training.callbacks.RandomState.on_train_batch_start = lambda *_: os._exit(0)
    return dispatch(words)
cli._dispatch = until_first_step
sys.argv = ["convlab", "train", "experiment=lenet", "resume=never"]
sys.exit(cli.main() or 1)
"""
JOBS = """
import json, sys, time
import convlab
import pytorch_lightning
from convlab.cli import main as cli
marks, fit = [], pytorch_lightning.Trainer.fit
def timed(*arguments, **options):
    start = time.perf_counter()
    fit(*arguments, **options)
    marks.append((start, time.perf_counter()))
pytorch_lightning.Trainer.fit = timed
words = ["experiment=lenet5", "trainer.max_epochs=1", "seed=1,2,3,4,5,6,7,8"]
sys.argv = ["convlab", "train", "-m", *words]
cli.main()
print(json.dumps([start - end for (_, end), (start, _) in zip(marks, marks[1:])]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    python, verb = [sys.executable, "-c"], [sys.executable, "-m", "convlab"]
    with tempfile.TemporaryDirectory() as folder:
        project = prepare(Path(folder))
        seconds(
            [*verb, "train", "experiment=lenet", "+trainer.limit_train_batches=2"], project
        )  # the database
        begin, imports = repeated([[*python, UNTIL_FIRST_STEP], [*python, IMPORTS]], project, repeat)
        gaps = json.loads(output([*python, JOBS], project).splitlines()[-1])
        help_, summary = repeated([[*verb, "--help"], [*verb, "summary", "model=lenet5"]], project, repeat)
    figures = [
        Figure("convlab --help", help_, "s", "< 0.4"),
        Figure("convlab summary model=lenet5", summary, "s", "< 1.0"),
        Figure("import torch, pytorch_lightning", imports, "s"),
        Figure("convlab train, until its first step", begin, "s"),
        Figure(
            "convlab train, until its first step, beyond the imports",
            [mine - bare for mine, bare in zip(begin, imports, strict=True)],
            "s",
            "< 4",
        ),
        Figure("between two of eight one-epoch lenet5 jobs of a sweep", gaps, "s", "< 1"),
    ]
    dvc = [sys.executable, "-m", "dvc"]
    if subprocess.run([*dvc, "status", "--quiet"], cwd=ROOT).returncode == 0:
        (nothing,) = repeated([[*dvc, "repro"]], ROOT, repeat)
        figures.append(Figure("dvc repro, nothing to do", nothing, "s", "< 4"))
    else:
        console.print("dvc repro: left out, the pipeline is not up to date. Give `dvc repro` first.")
    record(
        "bench_startup",
        "seconds to begin, and to find nothing to do",
        figures,
        peer="none; for training a process that imports torch and pytorch_lightning",
        warm_up="a training of two steps; each command once",
        repetitions=f"{repeat}, alternating; medians",
    )


def prepare(folder: Path) -> Path:
    """A project of its own with the fetched digits."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "mnist").symlink_to(ROOT / "datasets" / "mnist")
    return folder


def repeated(commands: list[list[str]], directory: Path, repeat: int) -> list[list[float]]:
    """Seconds of each command, in turns, after one turn that is not counted."""
    turns = [[seconds(command, directory) for command in commands] for _ in range(repeat + 1)]
    return [list(times) for times in zip(*turns[1:], strict=True)]


def seconds(command: list[str], directory: Path) -> float:
    start = time.perf_counter()
    output(command, directory)
    return time.perf_counter() - start


def output(command: list[str], directory: Path) -> str:
    """What the command prints, in `directory` as its project; raises CalledProcessError when it fails."""
    env = os.environ | {"CONVLAB_PROJECT": str(directory)}
    done = subprocess.run(command, cwd=directory, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()

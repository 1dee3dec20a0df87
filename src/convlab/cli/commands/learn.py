"""From a folder of photos to a model, its accuracy and a page about it, in one command.

usage: convlab learn FOLDER [name=NAME] [key=value ...]

FOLDER holds <class>/<photo>.jpg (or png, bmp, gif, webp, tiff), two classes at least, or comes divided into
train/, val/ and test/. What happens is a row of verbs, each shown as it begins, so that you can give it
again by itself:

  1. fetch      the backbone's weights, if they are not there
  2. features   a vector per photo; only what is new is computed
  3. train      each head of conf/learn.yaml, judged by its loss on the validation photos
  4. train      the best of them as NAME, and its accuracy on the test photos, which only this step reads
  5. compare    the page about it, reports/NAME/comparison.html

Repeat the command after photos came or changed, or after an interruption: what is done is kept.

  name=NAME      what the model is called; the folder's name unless given
  data.name=...  what the data set is called; the folder's name unless given
  data.* and backbone*      go to features and to train
  any other key=value       goes to train, for every head: optimizer.lr=0.01, trainer.max_epochs=100

writes features/<data>/<backbone>/, runs/NAME_<head>/ for each head, runs/NAME/ and reports/NAME/

examples
  convlab learn photos
  convlab learn ~/pictures/birds name=birds
  convlab learn photos backbone.runtime=torch data.split.test=0.3 trainer.max_epochs=80
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.markup import escape
from rich.table import Table

from convlab.base import config, shell
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.overriding import word
from convlab.base.project import conf_file, project_dir
from convlab.cli import measured
from convlab.cli.commands import features, fetch, train
from convlab.data.fetching import sources
from convlab.data.splits import SPLITS
from convlab.runs.report import files, results
from convlab.runs.report.comparison import compare
from convlab.runs.run import Run
from convlab.training.multirun import same_settings

FEW = 100  # test photos; with fewer, the accuracy's interval spans some ten points


@dataclass(frozen=True)
class Head:
    """One candidate. words: the overrides of its training, but for the name of the `run`."""

    name: str
    run: Run
    words: list[str]

    def settings(self) -> dict[str, Any]:
        return config.plain(config.compose("train", [*self.words, word("name", self.run.name)]))

    @property
    def best(self) -> dict[str, float]:
        """The epoch that became the model: its row of history.csv."""
        epoch = self.run.model_file.epoch
        return next(row for row in self.run.history if row["epoch"] == epoch)

    def order(self) -> tuple[float, float]:
        """The best first: by loss, which tells heads apart on few photos, where accuracy hardly does."""
        return self.best["val/loss"], -self.best["val/acc"]


def run(args: list[str]) -> int:
    """Go from the folder to the page; returns the exit status."""
    folder, words = _folder(args)
    named = [word for word in words if word.startswith("name=")]
    own = [word for word in words if word not in named]
    data = ["data=photos", word("data.dir", folder)]
    data += [word for word in own if word.lstrip("+~").startswith(("data.", "backbone"))]
    own = [word for word in own if word not in data]
    composed = config.plain(config.compose("train", ["experiment=linear_head", *data, *own, *named]))
    name = str(composed["name"]) if named else str(composed["data"]["name"])
    heads = _heads(name, data, own)
    _fetch(composed["backbone"])
    _begin("features", data)
    features.run(data)
    meta = _meta(composed)
    _show_classes(meta)
    for head in heads:
        _train(head, head.run, heads)
    best = min(heads, key=Head.order)
    _show_heads(heads, best, meta["num_photos"]["val"])
    model = Run(project_dir() / "runs" / name)
    _train(best, model, heads, "evaluate=true")
    model = Run(model.directory)
    measured.say(name, model.metrics)
    out = Path("reports") / name
    _begin("compare", [name, "--out", str(out)])
    files.write(project_dir() / out, compare(results.read([model.directory])), [])
    console.print(f"Report: {out / 'comparison.html'}", markup=False)
    _say_what_next(best, model)
    return 0


def _folder(args: list[str]) -> tuple[str, list[str]]:
    """The folder, from the project's where it lies there, and the other words."""
    folders = [word for word in args if "=" not in word or Path(word).is_dir()]
    if len(folders) != 1 or folders[0].startswith("-"):
        found = f", not {' and '.join(folders)}" if folders else ""
        raise ConvlabError(f"one folder of photos is needed{found}. For instance: convlab learn photos/")
    path = Path(folders[0]).expanduser()
    if not path.is_dir():
        raise ConvlabError(f"there is no folder {path}. Expected {path}/<class>/<photo>.jpg.")
    path, root = path.absolute(), project_dir().absolute()
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return str(shown), [word for word in args if word != folders[0]]


def _heads(name: str, data: list[str], own: list[str]) -> list[Head]:
    path = conf_file("learn.yaml")
    try:
        listed = {key: [*map(str, words)] for key, words in yaml.safe_load(path.read_text())["heads"].items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ConvlabError(
            f"{path}: expected `heads`, each a name and a list of overrides: {error}"
        ) from None
    runs = project_dir() / "runs"
    return [Head(key, Run(runs / f"{name}_{key}"), [*words, *data, *own]) for key, words in listed.items()]


def _fetch(backbone: dict[str, Any]) -> None:
    """Its published weights, if it has some that are not there yet."""
    weights = backbone["weights"]
    if weights and not (project_dir() / weights).is_file() and backbone["name"] in sources.names():
        _begin("fetch", [backbone["name"]])
        fetch.run([backbone["name"]])


def _train(head: Head, run: Run, heads: list[Head], *more: str) -> None:
    """Train `head` as `run`, unless that is done with these settings on these photos."""
    words = [*head.words, word("name", run.name), *more]
    job = config.job(words)
    if _is_done(run, job.settings):
        _begin("train", words, "done earlier, kept")
        return
    _begin("train", words)
    chosen = run.name not in {each.run.name for each in heads}
    if chosen and any(same_settings(run, each.settings()) for each in heads):  # one that was best before
        job.settings["resume"] = "never"
    console.quiet = not console.is_terminal  # a line an epoch is too much of many trainings
    try:
        train.alone(job.settings, job.directory, words)
    finally:
        console.quiet = False


def _is_done(run: Run, settings: dict[str, Any]) -> bool:
    trained = run.state.get("lineage", {})
    if run.state.get("status") != "finished" or not (run.model_dir / "model.json").is_file():
        return False
    if settings["evaluate"]:
        measured_too = (run.directory / "metrics.json").is_file()
        if not measured_too or run.lineage.get("weights_hash") != run.model_file.weights_hash:
            return False
    meta = _meta(settings)
    now = (meta["data_hash"], meta["backbone"]["weights_hash"])
    return now == (trained["data_hash"], trained["backbone_hash"]) and same_settings(run, settings)


def _meta(settings: dict[str, Any]) -> dict[str, Any]:
    """What the features say of themselves."""
    path = project_dir() / settings["data"]["module"]["dir"] / "meta.json"
    meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return meta


def _begin(verb: str, words: list[str], outcome: str = "") -> None:
    """The command as it can be given again."""
    console.print(f"\n[bold]$ {escape(shell.join(['convlab', verb, *words]))}[/]")
    if outcome:
        console.print(outcome, markup=False)


def _show_classes(meta: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="fold")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for name, counts in meta["counts"].items():
        table.add_row(escape(name), *(f"{counts[split]:,}" for split in SPLITS))
    table.add_row("[bold]photos[/]", *(f"[bold]{meta['num_photos'][split]:,}[/]" for split in SPLITS))
    console.print(table)


def _show_heads(heads: list[Head], best: Head, num_val: int) -> None:
    console.print(f"\nThe heads on {num_val:,} validation photos; the lowest loss becomes the model:")
    table = Table(box=None, pad_edge=False)
    for heading in ("", "head", "loss", "accuracy %", "epoch"):
        table.add_column(heading, justify="left" if heading in ("", "head") else "right")
    for head in sorted(heads, key=Head.order):
        row = head.best
        cells = (f"{row['val/loss']:.4f}", f"{100 * row['val/acc']:.2f}", f"{row['epoch']:.0f}")
        table.add_row("*" if head is best else "", escape(head.name), *cells)
    console.print(table)


def _say_what_next(head: Head, run: Run) -> None:
    number, name = run.metrics["test"]["num_images"], shlex.quote(run.name)
    if number < FEW:
        folds = shell.join([*head.words, word("name", f"{run.name}_cv")])
        validated = shlex.quote(f"{run.name}_cv")
        console.print(
            f"\n{number:,} test photos leave a wide interval. Folds over all other photos narrow it:\n"
            f"  convlab cv {folds}\n"
            f"  convlab promote {name} --cv {validated}",
            markup=False,
        )
    console.print(
        f"\nNext:\n"
        f"  convlab promote {name}          the champion of {run.data}, if it passes conf/gate.yaml\n"
        f"  convlab predict PHOTO --model {name}\n"
        f"  convlab evaluate {name} --on FOLDER          on other photos",
        markup=False,
    )

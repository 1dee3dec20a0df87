"""What MLflow shows of a run in short: the parameters that tell runs apart, and a note. No MLflow here."""

from typing import Any

from convlab.runs.metrics import METRICS
from convlab.runs.run import Run

PARTS = ("model", "optimizer", "loss", "averaging")  # of which each further setting is a parameter
FROM_DATA = ("num_inputs", "num_classes")
SECTIONS = ("val", "train", "test", "test_class")  # of the charts, in the order of the page
CURVES = ("val/acc", "val/loss", "train/acc", "train/loss")
SECONDS = "train/seconds"  # MLflow's own duration has a training's interruptions in it
VIEW = {  # the columns of the runs' table, in MLflow's own words
    "selectedColumns": [
        *(f"metrics.`{key}`" for key, metric in METRICS.items() if metric.browsed),
        f"metrics.`{SECONDS}`",
        *(f"params.`{name}`" for name in ("data", "model", "lr", "epochs", "batch_size", "seed")),
    ],
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    # as charts, the curves come first; whatever else was measured, MLflow adds below
    "compareRunSections": [
        {"uuid": name, "name": name, "display": True, "isReordered": False} for name in SECTIONS
    ],
    "compareRunCharts": [
        {
            "type": "LINE",
            "uuid": key,
            "metricSectionId": key.partition("/")[0],
            "metricKey": key,
            "selectedMetricKeys": [key],
            "runsCountToCompare": 10,
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "deleted": False,
            "isGenerated": True,
        }
        for key in CURVES
    ],
    "isAccordionReordered": True,
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}


def parameters(config: dict[str, Any]) -> dict[str, str]:
    """The settings that runs differ in, by short names; all others are in config.yaml.

    A part's own settings keep the name they have on the command line (`model.hidden`); null is left out.
    """
    model, optimizer, trainer = config["model"], config["optimizer"], config["trainer"]
    named = {
        "model": _last_word(model["_target_"]),
        "data": config["data"]["name"],
        "optimizer": _last_word(optimizer["_target_"]),
        "lr": optimizer["lr"],
        "schedule": _last_word((config["scheduler"]["factory"] or {}).get("_target_", "constant")),
        "epochs": trainer["max_epochs"],
        "steps": None if trainer.get("max_steps", -1) == -1 else trainer["max_steps"],
        "batch_size": config["batch_size"],
        "seed": config["seed"],
        "backbone": None if config["backbone"]["name"] == "none" else config["backbone"]["name"],
        "backbone_lr": config["backbone_lr"],
        "loss": _last_word(config["loss"]["_target_"]),
        "augmentation": _last_word((config["data"]["module"].get("augmentation") or {}).get("_target_")),
    }
    for part in PARTS:
        named |= {
            f"{part}.{key}": value
            for key, value in config[part].items()
            if key[0] != "_" and key not in FROM_DATA
        }
    del named["optimizer.lr"]
    return {key: str(value) for key, value in named.items() if value is not None}


def note(
    run: Run, config: dict[str, Any], metrics: dict[str, Any] | None = None, run_id: str | None = None
) -> str:
    """The run in Markdown: its result (`metrics`: what metrics.json holds), how to repeat it, its data.

    run_id: MLflow's, whose figure of the learning curves is shown; MLflow's page shows the first lines only,
    and the rest on request.
    """
    model = run.model_file
    lineage = model.lineage
    if metrics is None:
        result = f"Trained: weights of epoch {model.epoch}. Not measured on the test images yet."
    else:
        test = metrics["test"]
        low, high = (f"{100 * test[f'acc_{end}']:.2f}" for end in ("low", "high"))
        result = (
            f"**Test accuracy {100 * test['acc']:.2f} %** (95 % interval {low} to {high} %) on "
            f"{test['num_images']:,} images, loss {test['loss']:.4f}, calibration error "
            f"{100 * test['ece']:.2f} %; weights of epoch {model.epoch} ({model.selected})."
        )
    if run.seconds is not None:
        result += f" Training took {_duration(run.seconds)}."
    data, content = config["data"], lineage["data_hash"][:12]
    lines = [f"{result} To repeat it:", "```bash\n" + "\n".join(_commands(run)) + "\n```"]
    lines += [f"**Data:** `{data['name']}` in `{data['module']['dir']}`, content `{content}`."]
    lines += [f"**Substitute:** {words}." for words in lineage["substitutes"]]
    if run_id is not None:
        lines.append(f"![Learning curves](get-artifact?path=figures/curves.png&run_uuid={run_id})")
    return "\n\n".join(lines)


def _commands(run: Run) -> list[str]:
    commit, dirty = run.state.get("git_commit"), run.state.get("git_dirty")
    checkout = f"git checkout {commit}" + ("   # and what was not committed then" if dirty else "")
    return [*([checkout] if commit else []), *run.commands]


def _duration(seconds: float) -> str:
    """`9 s`, `1 min 30 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _last_word(target: str | None) -> str | None:
    return target and target.rsplit(".", 1)[-1]

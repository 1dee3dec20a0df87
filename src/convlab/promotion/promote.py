"""From a measured run to a registered champion, and back to the one before.

The project's `champions/` decides; MLflow's registry is told first, so that where it can't be reached nothing
has changed here. An interruption between the two is mended by the next promotion or the next step back.
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from convlab.base.console import warn
from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.base.project import conf_file
from convlab.base.shipped import shipped
from convlab.data.looks import Leak
from convlab.data.photo_warnings import leak_warning
from convlab.features.outdated import outdated
from convlab.prediction import complete_model
from convlab.prediction.export.checked import images_of
from convlab.prediction.export.formats import NotExportable
from convlab.promotion import cross_validated, model_card
from convlab.promotion.calibration import error_by_chance
from convlab.promotion.evidence import Answers, Calibration
from convlab.promotion.gate import Condition, Gate, judge
from convlab.promotion.latency import median_ms
from convlab.promotion.pairing import pair
from convlab.runs import champions
from convlab.runs.champions import Champion
from convlab.runs.run import Run


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate: `champion` is None if it was refused, `conditions` empty if it was champion
    already. `registered` says as what MLflow knows it."""

    conditions: list[Condition]
    champion: Champion | None = None
    registered: str | None = None


def promote(run: Run, chosen_from: int = 1, cv: str | None = None) -> Outcome:
    """Make `run` champion of its data set if it passes the gate.

    chosen_from: of how many runs it is the most accurate, which its model card tells. cv: the
    cross-validation whose accuracy is judged in place of that on the test images.
    Raises ConvlabError, with nothing changed, if its evaluation is missing or not its model's, or if MLflow's
    registry can't be reached.
    """
    model = run.model_file
    predictions = run.predictions
    if predictions is None or run.lineage.get("weights_hash") != model.weights_hash:
        raise ConvlabError(f"{run.name} has not been evaluated as it is now. {run.remedy}")
    labels, probabilities = predictions
    if changed := outdated(run.config.get("data", {})):
        warn(changed)
    if found := run.metrics.get("leak"):
        warn(leak_warning(Leak(found["number"], tuple(found["example"]))))
    answers = _answers(run) if cv is None else cross_validated.answers(cv, run)
    gate = Gate.of(_settings(conf_file("gate.yaml")), run.data, _settings(shipped("conf") / "gate.yaml"))
    with champions.changing(run.data) as staged:
        history = champions.history(run.data)
        if history and Run(history[-1].directory).lineage == run.lineage:
            return Outcome([], history[-1], _register(history[-1], history[-1].directory))
        complete_model.write(run, staged)
        pairing = pair(history[-1], run, labels, probabilities.argmax(1) == labels) if history else None
        latency_ms = median_ms(complete_model.load(staged))
        calibration = Calibration(run.metric("test/ece"), error_by_chance(probabilities))
        conditions = judge(gate, answers, calibration, latency_ms, pairing)
        if not all(condition.passed for condition in conditions):
            return Outcome(conditions)
        try:
            complete_model.add_onnx(staged, images_of(run))
        except NotExportable as error:
            warn(f"{error} Predictions by the champion start with torch instead, which takes longer")
        champion = champions.next_champion(run.data, run.name)
        for name in ("metrics.json", "predictions.npz"):
            shutil.copy(run.directory / name, staged)
        write_json(staged / "gate.json", [asdict(condition) for condition in conditions])
        licences = model_card.Licences.of(_settings(conf_file("licences.yaml")), run.data, model.backbone)
        text = model_card.markdown(run, model, conditions, licences, chosen_from)
        (staged / "README.md").write_text(text, encoding="utf-8")
        registered = _register(champion, staged, run.state.get("mlflow"))
        champions.advance(champion, staged)
    return Outcome(conditions, champion, registered)


def roll_back(data: str) -> tuple[Champion, Champion, str]:
    """Take the present champion on `data` away: returns it, the one before, and as what MLflow knows that.

    Raises ConvlabError, with nothing changed, if there is none before or MLflow's registry can't be reached.
    """
    with champions.changing(data):
        *_, present = history = champions.history(data)
        if len(history) == 1:
            raise ConvlabError(f"{present.run} is the first champion on {data}: there is none to go back to.")
        before = history[-2]
        registered = _register(before, before.directory)
        champions.step_back(data)
    return present, before, registered


def _register(champion: Champion, directory: Path, mlflow: dict[str, str] | None = None) -> str:
    """Tell MLflow; `mlflow` is what run.json has noted of the run."""
    from convlab.tracking import registry  # imports MLflow, which takes seconds

    run = Run(directory)
    tags = {**run.lineage, "run": champion.run, "substitutes": "; ".join(run.substitutes) or "none"}
    noted = mlflow or {}
    return registry.set_champion(
        champion.data, directory, tags, noted.get("run_id"), noted.get("experiment", "convlab")
    )


def _answers(run: Run) -> Answers:
    confusion = run.confusion
    assert confusion is not None  # `promote` has seen its predictions
    return Answers(run.classes, confusion)


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConvlabError(f"{path} can't be read: {error}") from None
    return settings

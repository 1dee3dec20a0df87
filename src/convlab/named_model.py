"""What `--model NAME` means, for every verb that predicts.

NAME is `champion`, or `champion/<data>` where several data sets have one; a run, by its name under runs/ or
its directory; a complete model's directory, moved anywhere; or a backbone of conf/backbone/.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlab import champions, config, runs
from convlab.errors import ConvlabError

if TYPE_CHECKING:
    from convlab.prediction import Predictor


def load(name: str) -> "Predictor":
    """The model that `name` means; raises ConvlabError, listing what there is, if none is called so."""
    directory = complete(name)
    if directory is not None:
        from convlab import complete_model

        return complete_model.load(directory)
    backbones = [choice for choice in config.groups()["backbone"] if choice != "none"]
    if name in backbones:
        from convlab.prediction import of_backbone

        composed: dict[str, Any] = config.plain(config.compose("train", [f"backbone={name}"]))
        return of_backbone(composed["backbone"])
    try:
        run_dir = runs.run_dir(name)
    except ConvlabError as error:
        raise ConvlabError(f"--model {name}: {error} Backbones: {', '.join(backbones)}.") from None
    from convlab.prediction import of_run

    return of_run(run_dir)


def complete(name: str) -> Path | None:
    """The directory that `name` means, if that holds a complete model."""
    word, _, data = name.partition("/")
    if word == "champion":
        return champions.champion(data or None).directory
    return Path(name) if (Path(name) / "model.json").is_file() else None

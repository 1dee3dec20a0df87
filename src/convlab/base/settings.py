"""The fixed keys of a training's configuration, typed. What is built from `_target_` stays open.

Checked as soon as a configuration is composed: a wrong type, a value out of range or a key that is not known
is one line, with the key, the value and what is expected.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from convlab.base.errors import ConvlabError, near
from convlab.base.kinds import shown

LONGEST = 200  # bytes of a name; file systems take 255, and something is often added
Text = Annotated[str, BeforeValidator(lambda value: str(value) if _is_number(value) else value)]  # name=2026
Name = Annotated[Text, AfterValidator(lambda value: _folder_name(value))]  # of a folder, of a run in MLflow
Part = dict[str, Any]  # `_target_` and its arguments
AtLeastOne = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _OpenSection(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class Averaging(_Section):
    decay: Annotated[float, Field(ge=0, lt=1)] | None


class Checkpoint(_Section):
    monitor: str | None
    mode: Literal["max", "min"]
    every_n_steps: AtLeastOne | None


class Sweep(_Section):
    resume: bool


class Scheduler(_Section):
    interval: Literal["step", "epoch"]
    factory: Part | None


class Trainer(_OpenSection):
    """Lightning's Trainer: it takes more than these, and checks the rest itself."""

    max_epochs: Annotated[int, Field(ge=-1)] | None = None
    max_steps: int = -1
    log_every_n_steps: AtLeastOne = 50


class Logger(_Section):
    enabled: bool
    recorder: str | None = None
    experiment: Text | None
    system_metrics: bool = False
    loggers: dict[str, Part] = {}


class Data(_OpenSection):
    name: Name
    module: Part


class Backbone(_OpenSection):
    name: Name


class TrainSettings(_Section):
    """What conf/train.yaml composes."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    batch_size: AtLeastOne
    backbone_lr: float | None
    channels_last: bool
    resume: Literal["auto", "latest", "never"]
    init: Part | None
    averaging: Averaging
    checkpoint: Checkpoint
    print_every_n_steps: AtLeastOne | None
    evaluate: bool
    sweep: Sweep
    data: Data
    backbone: Backbone
    model: Part
    loss: Part
    optimizer: Part
    scheduler: Scheduler
    trainer: Trainer
    logger: Logger
    callbacks: dict[str, Part | None] | None = None
    search: Part | None = None
    report: Name | None = None
    visualize: bool | None = None


class VisualizeSettings(TrainSettings):
    """What conf/visualize.yaml adds."""

    layer: str
    split: str
    num_images: AtLeastOne | None
    maps: Any
    image: int
    occlusion: Part
    attribution: Part


class PhotoSet(_OpenSection):
    name: Name
    dir: Text


class FeaturesSettings(_Section):
    """What conf/features.yaml composes."""

    dir: Text
    batch_size: AtLeastOne | None
    replace: bool
    reread: bool
    data: PhotoSet
    backbone: Backbone


SCHEMAS: dict[str, type[_Section]] = {
    "train": TrainSettings,
    "visualize": VisualizeSettings,
    "features": FeaturesSettings,
}


def check(config_name: str, settings: dict[str, Any]) -> None:
    """Raise ConvlabError for the first of `settings` that conf/<config_name>.yaml does not allow."""
    schema = SCHEMAS.get(config_name)
    if schema is None:
        return
    try:
        schema.model_validate(settings)
    except ValidationError as error:
        raise ConvlabError(_explained(error, settings)) from None


WITHOUT = {  # how to do without a part: `~scheduler` leaves a hole
    "scheduler": "scheduler=constant is none.",
    "averaging": "averaging.decay=null is none.",
    "backbone": "backbone=none is none.",
    "logger": "logger=none is none.",
    "checkpoint": "checkpoint.monitor=null takes the last step.",
    "init": "init=null is none.",
}
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "settings, {key: value}",
    "model_type": "settings, {key: value}",
    "model_attributes_type": "settings, {key: value}",
    "list_type": "a list",
}


def _explained(error: ValidationError, settings: dict[str, Any]) -> str:
    problems = error.errors(include_url=False)
    # of a union's alternatives, all fail: the first says enough, null is understood
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    path = _path(first["loc"], settings)
    key, kind = ".".join(path), first["type"]
    if kind == "extra_forbidden":
        siblings = TrainSettings.model_fields if len(path) == 1 else _siblings(path)
        hint = near(path[-1], siblings) or "`convlab train --cfg job` prints every key."
        return f"there is no setting '{key}'. {hint}"
    if kind == "missing":
        return f"{key} is missing. {WITHOUT.get(key, 'conf/train.yaml has it.')}"
    expected = EXPECTED.get(kind) or first["msg"].removeprefix("Input should be ")
    expected = expected.replace("greater than or equal to", "at least")
    return f"{key}={shown(first['input'])}: expected {expected}."


def _path(location: tuple[int | str, ...], settings: Any) -> list[str]:
    """The keys in `location`, less the names of a union's alternatives that pydantic adds."""
    path: list[str] = []
    for part in location:
        if isinstance(settings, dict) and part in settings:
            path.append(str(part))
            settings = settings[part]
        elif not path or isinstance(settings, dict):
            path.append(str(part))
            settings = None
    return path


def _siblings(path: list[str]) -> list[str]:
    model: Any = TrainSettings
    for name in path[:-1]:
        model = model.model_fields[name].annotation
    return list(model.model_fields)


def _folder_name(value: str) -> str:
    """`value`, if it can name a folder on any system and leads nowhere else."""
    printable = value != "" and value.isprintable() and not set(value) & set('/\\:*?"<>|')
    if (
        not printable
        or value != value.strip()
        or value.startswith((".", "-"))
        or len(value.encode()) > LONGEST
    ):
        raise PydanticCustomError(
            "name", "a name of 1 to {most} bytes for a folder, without / or a leading dot", {"most": LONGEST}
        )
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

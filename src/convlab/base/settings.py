"""The fixed keys of a training's configuration, typed. What is built from `_target_` stays open.

Checked as soon as a configuration is composed: a wrong type, a value out of range or a key that is not known
is one line, with the key, the value and what is expected.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from convlab.base.errors import ConvlabError
from convlab.base.refusals import explained

LONGEST = 200  # bytes of a name; file systems take 255, and something is often added
Text = Annotated[str, BeforeValidator(lambda value: str(value) if _is_number(value) else value)]  # name=2026
Name = Annotated[Text, AfterValidator(lambda value: _folder_name(value))]  # of a folder, of a run in MLflow
Part = dict[str, Any]  # `_target_` and its arguments
AtLeastOne = Annotated[int, Field(ge=1, lt=2**63)]


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
    accumulate_grad_batches: AtLeastOne = 1
    check_val_every_n_epoch: AtLeastOne | None = 1


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


class Engine(_Section):
    """conf/engine/: `local` has a name only, `ray` all of it."""

    name: Literal["local", "ray"]
    address: Text | None = None
    init: Part = {}
    workers: AtLeastOne | None = None
    num_cpus: Annotated[float, Field(ge=0)] = 1
    num_gpus: Annotated[float, Field(ge=0)] = 0
    block: AtLeastOne | None = None
    stall_s: Annotated[float, Field(gt=0)] = 600


class FeaturesSettings(_Section):
    """What conf/features.yaml composes."""

    dir: Text
    batch_size: AtLeastOne | None
    replace: bool
    reread: bool
    data: PhotoSet
    backbone: Backbone
    engine: Engine


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
        raise ConvlabError(explained(error, settings, TrainSettings)) from None


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

"""What one call of `convlab sweep` is about: checked settings, where they are kept, what may change later."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution

from convlab.base import config, overriding
from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.base.trees import flat
from convlab.runs import metrics
from convlab.training.search import space

METRICS = tuple(metric.key for metric in metrics.of_section("val"))
NEEDED = {"metric", "num_trials", "seed", "grace_s", "sampler", "pruner", "space"}
CHANGEABLE = ("num_trials", "grace_s")  # when a study goes on; all else decides what its trials are


@dataclass(frozen=True)
class Plan:
    """A search, as its workers need it.

    words: the overrides that every trial shares.
    settings: what they compose, without `search`; search: that section.
    storage: the URL of the study's database.
    """

    words: list[str]
    settings: dict[str, Any]
    search: dict[str, Any]
    directory: Path
    storage: str

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    @property
    def metric(self) -> str:
        return str(self.search["metric"])

    @property
    def direction(self) -> metrics.Direction:
        return metrics.METRICS[self.metric].direction

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        return space.read(self.search["space"])

    @property
    def lasting(self) -> dict[str, Any]:
        """What must be the same for trials to be of one study, by dotted path."""
        searched = {key: value for key, value in self.search.items() if key not in CHANGEABLE}
        return flat({**config.lasting(self.settings), "search": searched})

    def trial_settings(self, values: dict[str, space.Value]) -> dict[str, Any]:
        """The configuration of a trial with these values."""
        settings = config.plain(config.compose("train", [*self.words, *space.words(values)]))
        del settings["search"]
        return settings


def read(words: list[str], storage: str | None = None) -> Plan:
    """The plan that the overrides `words` compose.

    The database is `storage`, else CONVLAB_OPTUNA_STORAGE, else study.db in the sweep's directory. Raises
    ConvlabError for what does not fit, before anything is trained.
    """
    for item in overriding.parse(words):
        if item.is_sweep_override():
            raise ConvlabError(
                f"'{item.input_line}': what a search varies stands in search.space, for instance "
                f"+search.space.{item.key_or_group}={{choices: [...]}}. `convlab train -m` tries all."
            )
    settings = config.plain(config.compose("train", words))
    search = settings.pop("search", None)
    if not isinstance(search, dict) or not search.get("space"):
        raise ConvlabError(
            f"'{settings['name']}' does not say what to search. experiment=lenet_sweep does, or add "
            "+search=median '+search.space.optimizer.lr={low: 0.01, high: 0.3, log: true}'."
        )
    _check(search)
    directory = project_dir() / "sweeps" / settings["name"]
    url = storage or os.environ.get("CONVLAB_OPTUNA_STORAGE") or f"sqlite:///{directory / 'study.db'}"
    plan = Plan(words, settings, search, directory, url)
    plan.trial_settings(space.example(plan.distributions))  # refuses unknown parameters
    return plan


def _check(search: dict[str, Any]) -> None:
    if absent := NEEDED - search.keys():
        raise ConvlabError(f"search.{min(absent)} is missing. Take one of conf/search/: +search=median.")
    if search["metric"] not in METRICS:
        raise ConvlabError(
            f"search.metric={search['metric']}: choose {' or '.join(METRICS)}. The test images take no part "
            "in choosing: their result would then be too good."
        )
    for key, least in (("num_trials", 1), ("grace_s", 1), ("seed", 0)):
        value = search[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConvlabError(
                f"search.{key}={json.dumps(value)}: expected a whole number, at least {least}."
            )

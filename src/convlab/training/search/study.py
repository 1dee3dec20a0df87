"""The study in its database: opened, held to its settings, and its trials counted and put back."""

import json
import logging
import warnings
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from convlab.base.addresses import without_passwords
from convlab.base.errors import ConvlabError
from convlab.base.parts import instantiate
from convlab.training.search.plan import Plan

optuna.logging.set_verbosity(logging.ERROR)

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
MAX_DEATHS = 3  # of workers with the same trial, which then counts as failed
BUSY_S = 60  # how long a process waits for another's write to SQLite


def open_study(plan: Plan) -> optuna.Study:
    """The plan's study, new or going on.

    Raises ConvlabError when the database can't be had, or holds a study of this name with other settings.
    """
    plan.directory.mkdir(parents=True, exist_ok=True)
    with FileLock(plan.directory / ".open.lock"):  # making the tables is not safe against another process
        try:
            study = optuna.create_study(
                storage=_storage(plan), study_name=plan.name, direction=plan.direction, load_if_exists=True
            )
        except SQLAlchemyError as error:
            raise ConvlabError(f"{_shown(plan)}: {str(error).splitlines()[0]}") from None
        study.pruner = instantiate(plan.search["pruner"], "search.pruner")
        _hold_to(study, plan)
    return study


def put_back(study: optuna.Study, trial: FrozenTrial, deaths: int = 0) -> None:
    """Queue the values of a trial that was interrupted once more, with what it has reported.

    The new trial goes on in the old one's directory, from its last checkpoint.
    """
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            intermediate_values=trial.intermediate_values,
            user_attrs={**trial.user_attrs, "origin": origin(trial), "deaths": deaths},
        )
    )


def put_back_dead(study: optuna.Study) -> None:
    """Put back the trials whose workers gave no sign of life within `search.grace_s`."""
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        fail_stale_trials(study)


def attempts(study: optuna.Study) -> list[FrozenTrial]:
    """The last attempt of each trial, in the order of their numbers: one that was put back has several."""
    last = {origin(trial): trial for trial in study.get_trials(deepcopy=False)}
    return [last[number] for number in sorted(last)]


def origin(trial: FrozenTrial) -> int:
    """The number of the first attempt, which names the trial and its directory."""
    return int(trial.user_attrs.get("origin", trial.number))


def seed_sampler(study: optuna.Study, plan: Plan, number: int) -> None:
    """Make the draw depend on `search.seed`, the trial's number and the finished trials alone.

    A sampler that lives as long as its process would draw the first values again after each start.
    """
    seed = (int(plan.search["seed"]) * 1_000_003 + number) % 2**32
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        study.sampler = instantiate(plan.search["sampler"], "search.sampler", seed=seed)


def _storage(plan: Plan) -> RDBStorage:
    try:
        sqlite = make_url(plan.storage).get_backend_name() == "sqlite"
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            return RDBStorage(
                plan.storage,
                # no connection outlives its use: hours may pass between two, and servers close idle ones
                engine_kwargs={"poolclass": NullPool, "connect_args": {"timeout": BUSY_S} if sqlite else {}},
                heartbeat_interval=max(1, plan.search["grace_s"] // 6),
                grace_period=plan.search["grace_s"],
                heartbeat_stale_trial_callback=_bury,
            )
    except (ArgumentError, NoSuchModuleError):
        raise ConvlabError(
            f"storage={without_passwords(plan.storage)}: expected a database's URL, sqlite:///<path> or "
            "postgresql://<user>:<password>@<host>/<database>."
        ) from None
    except RuntimeError:  # Optuna found a table of versions that is not its own
        raise ConvlabError(
            f"{_shown(plan)}: the tables of another program (MLflow's, or another version of Optuna's) are "
            "there. Give the studies a database of their own: `createdb optuna`."
        ) from None
    except ImportError:
        raise ConvlabError(
            f"{_shown(plan)}: the database's driver is not installed. `pip install 'convlab[postgresql]'`."
        ) from None


def _bury(study: optuna.Study, trial: FrozenTrial) -> None:
    deaths = trial.user_attrs.get("deaths", 0) + 1
    if deaths < MAX_DEATHS:
        put_back(study, trial, deaths)


def _hold_to(study: optuna.Study, plan: Plan) -> None:
    """Note the settings in a new study; refuse others in an old one."""
    new: dict[str, Any] = json.loads(json.dumps(plan.lasting))
    old = study.user_attrs.get("settings")
    if old is None:
        study.set_user_attr("settings", new)
        return
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if differing:
        key = differing[0]
        raise ConvlabError(
            f"the study '{plan.name}' was begun with other settings: {key} was {json.dumps(old.get(key))}, "
            f"now {json.dumps(new.get(key))}. Its trials could not be compared: give the new one a name=..., "
            f"or delete the old one (its database and {plan.directory})."
        )


def _shown(plan: Plan) -> str:
    """The database's address without its password."""
    return make_url(plan.storage).render_as_string(hide_password=True)

"""The study: held to its settings, drawn the same whoever draws, and never losing a trial."""

import sqlite3

import optuna
import pytest
from optuna.trial import TrialState

from convlab.base.errors import ConvlabError
from convlab.training.search import plan, processes, space, study

WORDS = [
    *("experiment=digits_fully_connected", "name=found", "logger=none", "+search=unpruned"),
    *("+search.space.optimizer.lr={low: 0.001, high: 1.0, log: true}", "search.num_trials=4"),
]


def states(opened):
    return [trial.state for trial in opened.get_trials()]


def test_other_settings_are_refused_and_more_trials_are_not(project):
    study.open_study(plan.read(WORDS))
    study.open_study(plan.read([*WORDS, "search.num_trials=9", "search.grace_s=5", "resume=never"]))
    with pytest.raises(
        ConvlabError, match=r"other settings: batch_size was 32, now 16\..*give the new one a name"
    ):
        study.open_study(plan.read([*WORDS, "batch_size=16"]))
    with pytest.raises(ConvlabError, match=r"search\.space\.optimizer\.lr\.high was 1\.0, now 2\.0"):
        study.open_study(plan.read([*WORDS, "search.space.optimizer.lr.high=2.0"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment=lenet"], "'lenet' does not say what to search. experiment=lenet_sweep does"),
        (["experiment=lenet_sweeep"], "no experiment 'lenet_sweeep'. Did you mean 'lenet_sweep'"),
        ([*WORDS, "+search.space.optimizer.lrr={low: 0, high: 1}"], "no setting 'optimizer.lrr'"),
        (
            [*WORDS, "search.metric=test/acc"],
            "search.metric=test/acc: choose val/acc or val/loss. The test images",
        ),
        ([*WORDS, "search.num_trials=0"], "search.num_trials=0: expected a whole number"),
        ([*WORDS, "search.seed=1.5"], "search.seed=1.5: expected a whole number, at least 0"),
        ([*WORDS, "batch_size=8,16"], "'batch_size=8,16': what a search varies stands in search.space"),
        ([*WORDS, "search=medium"], "no search 'medium'"),
    ],
)
def test_what_can_not_be_searched_is_refused_before_anything_is_written(project, words, message):
    with pytest.raises(ConvlabError) as raised:
        plan.read(words)
    assert message in str(raised.value)
    assert not (project / "sweeps").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "storage=nonsense: expected a database's URL"),
        ("postgresql://me:secret@127.0.0.1:1/none", "postgresql://me:***@127.0.0.1:1/none: "),
    ],
)
def test_a_database_that_can_not_be_had_is_named_without_its_password(project, url, message):
    with pytest.raises(ConvlabError) as raised:
        study.open_study(plan.read(WORDS, url))
    assert str(raised.value).startswith(message)
    assert "secret" not in str(raised.value)


def draws(opened, planned, count, interrupted=()):
    """The values of trials that take no training; those of `interrupted` are cut off once first."""
    cut = set(interrupted)

    def objective(trial):
        values = space.draw(trial, planned.distributions)
        if trial.number in cut:
            study.put_back(opened, opened.get_trials()[trial.number])
            raise KeyboardInterrupt
        return values["optimizer.lr"]

    while len([each for each in study.attempts(opened) if each.state == TrialState.COMPLETE]) < count:
        study.seed_sampler(opened, planned, len(study.attempts(opened)))
        try:
            opened.optimize(objective, n_trials=1)
        except KeyboardInterrupt:
            opened = study.open_study(planned)
    return [each.params["optimizer.lr"] for each in study.attempts(opened)]


def test_an_interrupted_search_draws_what_an_undisturbed_one_would(project):
    planned, other = plan.read(WORDS), plan.read([*WORDS, "name=other"])
    undisturbed = draws(study.open_study(planned), planned, 10)
    assert len(set(undisturbed)) == 10
    assert draws(study.open_study(other), other, 10, interrupted=(0, 5, 9)) == undisturbed


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")  # the tests ask, as no worker does
def test_a_dead_worker_s_trial_is_put_back_with_what_it_reported(project):
    planned = plan.read([*WORDS, "search.grace_s=5"])
    opened = study.open_study(planned)
    trial = opened.ask(planned.distributions)
    trial.report(0.25, 1)
    opened._storage.record_heartbeat(trial._trial_id)
    study.put_back_dead(opened)
    assert states(opened) == [TrialState.RUNNING]  # alive a moment ago
    for deaths in (1, 2):
        silence(project / "sweeps" / "found" / "study.db")
        study.put_back_dead(opened)
        (last,) = study.attempts(opened)
        assert (last.state, last.number) == (TrialState.WAITING, deaths)
        assert (last.params, last.intermediate_values) == (trial.params, {1: 0.25})
        again = opened.ask(planned.distributions)
        opened._storage.record_heartbeat(again._trial_id)
    silence(project / "sweeps" / "found" / "study.db")
    study.put_back_dead(opened)  # the third death
    (last,) = study.attempts(opened)
    assert last.state == TrialState.FAIL


def silence(database):
    """As if the last sign of life were an hour ago."""
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")
    connection.close()


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")  # the tests ask, as no worker does
def test_a_trial_that_died_before_its_first_sign_of_life_does_not_run_for_ever(project):
    planned = plan.read(WORDS)
    opened = study.open_study(planned)
    opened.ask(planned.distributions)
    processes._end_unbegun(opened, planned)
    assert states(opened) == [TrialState.RUNNING]
    with sqlite3.connect(project / "sweeps" / "found" / "study.db") as connection:
        connection.execute("UPDATE trials SET datetime_start = '2020-01-01 00:00:00'")
    connection.close()
    processes._end_unbegun(study.open_study(planned), planned)
    assert states(study.open_study(planned)) == [TrialState.FAIL]


def test_a_pruner_of_the_configuration_is_the_study_s(project):
    opened = study.open_study(plan.read([*WORDS, "search=halving"]))
    assert isinstance(opened.pruner, optuna.pruners.SuccessiveHalvingPruner)

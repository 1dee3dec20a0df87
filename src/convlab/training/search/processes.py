"""The processes of a search: each takes the study's next trial until there are enough."""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.training.search import study as studies
from convlab.training.search.plan import Plan
from convlab.training.search.trial import Objective

MAX_FAILURES = 3  # in a row, of one worker
LOOK_EVERY_S = 1.0


def run(plan: Plan, parent_id: str | None, workers: int = 1) -> None:
    """Go on with the plan's study until it has its trials, in so many processes that share the cores.

    Another call, in another shell or on another machine with the same database, takes part. Raises
    ConvlabError when trials fail one after another. After Ctrl-C every trial is put back first.
    """
    if workers == 1:
        work(plan, parent_id)
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, num_threads() // workers))
    os.environ["TTY_COMPATIBLE"] = "0"  # several progress bars would write over each other
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_worker, args=(plan, parent_id)) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    except KeyboardInterrupt:
        for process in processes:
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGINT)
        for process in processes:
            process.join()
        raise
    if failed := [process for process in processes if process.exitcode]:
        raise ConvlabError(
            f"{len(failed)} of {workers} workers ended early (see above). The same command resumes."
        )


def num_threads() -> int:
    """The cores there are for this process, or the fewer that OMP_NUM_THREADS allows."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def work(plan: Plan, parent_id: str | None, starter: BaseProcess | None = None) -> None:
    """Carry out trials, one after another, until the study has as many as it should, or `starter` is gone."""
    study = studies.open_study(plan)
    turn = FileLock(plan.directory / ".next.lock")  # counting and drawing: one process at a time
    objective = Objective(plan, parent_id, turn.release)
    failures, waited_for = 0, list[str]()
    while starter is None or starter.is_alive():
        turn.acquire()
        try:
            studies.put_back_dead(study)
            _end_unbegun(study, plan)
            attempts = studies.attempts(study)
            counts = Counter(trial.state for trial in attempts)
            wanted = int(plan.search["num_trials"]) - sum(counts[state] for state in studies.DONE)
            if wanted <= 0:
                return
            if wanted > counts[TrialState.RUNNING]:
                studies.seed_sampler(study, plan, len(attempts))
                study.optimize(objective, n_trials=1, catch=(Exception,))
                failures = failures + 1 if objective.error else 0
        finally:
            turn.release()
        if failures == MAX_FAILURES:
            raise ConvlabError(f"{failures} trials failed one after another, the last with {objective.error}")
        if wanted <= counts[TrialState.RUNNING]:
            waited_for = _wait(attempts, waited_for)


def _wait(attempts: list[FrozenTrial], said: list[str]) -> list[str]:
    """Let other workers finish what they have; if one died, its trial is soon put back. Returns which."""
    running = [str(studies.origin(trial)) for trial in attempts if trial.state == TrialState.RUNNING]
    if running != said:
        console.print(f"waiting for trial {', '.join(running)}, which another worker has.", markup=False)
    time.sleep(LOOK_EVERY_S)
    return running


def _end_unbegun(study: optuna.Study, plan: Plan) -> None:
    """End trials whose worker died before their first sign of life: Optuna would let them run for ever."""
    limit = datetime.now() - timedelta(seconds=plan.search["grace_s"])
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        begun = "origin" in trial.user_attrs
        if not begun and trial.datetime_start and trial.datetime_start < limit:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def _worker(plan: Plan, parent_id: str | None) -> None:
    os.setpgrp()  # Ctrl-C reaches the parent alone, which tells each worker once
    try:
        work(plan, parent_id, multiprocessing.parent_process())
    except KeyboardInterrupt:
        sys.exit(130)
    except ConvlabError as error:
        print(f"convlab sweep: {error}", file=sys.stderr)
        sys.exit(1)

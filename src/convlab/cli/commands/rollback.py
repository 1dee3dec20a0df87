"""Make the champion before the present one champion again.

usage: convlab rollback [DATA]

DATA names the data set; it can be left out where just one has champions. The alias champion of MLflow's
convlab-<data> moves to the version that it was on before (registered again if the registry lost it), and
champions/<data>/history.json says the same. No file of a model is changed or deleted: `convlab promote` can
bring the one that went back. If the registry can't be reached, nothing changes.

examples
  convlab rollback
  convlab rollback flowers
"""

import argparse

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.runs import champions
from convlab.runs.run import Run


def run(args: list[str]) -> int:
    """Go one champion back."""
    parser = argparse.ArgumentParser(prog="convlab rollback", add_help=False)
    parser.add_argument("data", nargs="*", metavar="DATA")
    names = parser.parse_args(args).data
    if len(names) > 1:
        raise ConvlabError(f"rollback {' '.join(names)}: name one data set.")
    data = champions.champion(*names).data

    from convlab.promotion.promote import roll_back  # imports torch

    gone, champion, registered = roll_back(data)
    console.print(
        f"{champion.run} is champion of {data} again, {registered} in MLflow; {gone.run} no longer is.",
        markup=False,
    )
    console.print(f"Complete model and its card: {Run(champion.directory).argument}", markup=False)
    return 0

"""Rank evaluated runs, say whether the best two differ, and write one report.

usage: convlab compare [RUN...] [--metric NAME] [--group SETTING] [--out DIR] [--json]

RUN is a name under runs/ or a run's directory, a sweep's job for instance; without any, every run that
has a metrics.json is compared. Runs on different data sets are never ranked against each other: each data
set has a table of its own. So have cross-validations (`convlab cv`), by name or directory: mean accuracy over
the folds with its 95 % interval.

  --metric NAME   rank by this: test/acc (default), test/loss, test/ece, val/acc or val/loss
  --group SETTING also a row for each value of a setting: model, or a name in config.yaml (optimizer.lr),
                  with the metric's mean and standard deviation over the runs that share it
  --out DIR       write comparison.json, comparison.csv, comparison.md and comparison.html to DIR, and the
                  page's pictures to DIR/pictures
  --json          print what comparison.json would hold, and no table

How to read the table:
  accuracy        share of the test images classified right, in per cent, by the weights that predict
  95 % interval   where the accuracy on an unlimited supply of similar images would be (Wilson). Intervals
                  of two runs that overlap do not mean that the runs are equal: the test below the table
                  is sharper, because it looks at the same images for both (McNemar's exact test)
  loss            mean cross-entropy on the test images
  ece             calibration error in per cent: by how much confidence and accuracy differ
  raw             accuracy of the weights before averaging, where training kept a moving average
  minutes         training, validation included (on the terminal only: equal runs differ in it)
  1 2 ...         small numbers after a name: a substitute took the place of the published data or weights

comparison.html needs no network and no server (light and dark, prints well): ranking, learning curves,
confusion matrices, calibration, precision and recall, coverage by confidence, settings, lineage, commands,
and a browser of the test images, which every number opens at its images. Copy DIR as a whole. The files
depend on the runs' config.yaml, history.csv, metrics.json, predictions.npz, images/, mistakes.png, visualize/
and the command in run.json, and on nothing else: equal runs make equal files. Other facts that change without
the result (run.json: the date, the git commit) are left to MLflow; the report identifies a run by the hashes
of its configuration, data and weights.

examples:
  convlab compare
  convlab compare lenet lenet5 --metric test/loss
  convlab compare sweeps/2026-01-31_12-00-00/* --group optimizer.lr
  convlab compare sweeps/2026-01-31_12-00-00/* --out reports/sweep
  convlab compare linear_head_cv mlp_head_cv
  convlab compare --json | python -m json.tool
"""

import argparse
from pathlib import Path
from typing import NoReturn

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.cli import ranking
from convlab.runs.metrics import RANKING
from convlab.runs.report import cross_validations, files, results
from convlab.runs.report.comparison import compare


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConvlabError(f"{message}. `convlab compare --help` explains the options.")


def run(args: list[str]) -> int:
    """Compare; with --out also write the report."""
    parser = _Parser(prog="convlab compare", add_help=False, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--metric", choices=RANKING, default="test/acc")
    parser.add_argument("--group", metavar="SETTING")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(args)

    validated, names = cross_validations.take(options.runs)
    found = results.find(names) if names or not validated else []
    compared = compare(results.read(found), options.metric)
    if options.json:
        print(files.as_json(compared, validated))
    else:
        for data in compared.data_sets:
            ranking.print_ranking(data, options.metric)
            if options.group:
                ranking.print_groups(data, options.metric, options.group)
        if validated:
            ranking.print_cross_validations(validated)
    if options.out:
        files.write(options.out, compared, validated)
        if not options.json:
            console.print(f"Report: {options.out / 'comparison.html'}", markup=False)
    return 0

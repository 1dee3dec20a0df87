"""List what `dvc repro` makes: an experiment takes part once its file names a report.

usage: convlab pipeline [REPORT...]

Writes pipeline.yaml, which dvc.yaml reads, from conf/experiment/: each file with `report: NAME` is trained,
evaluated and compared in reports/NAME/; with `visualize: true` it is drawn, too. A file speaks for itself
only: an experiment that builds upon another names its own report. What must be fetched and
which photos become vectors follows from what the experiment composes. Run it after adding, renaming or
removing an experiment; changed settings need nothing, `dvc repro` sees them. Outside of convlab's repository
only the project's own experiments take part, and those of convlab's whose REPORT is named once: full is
MNIST and the flower photos, sample the embedded sample.

An experiment of your own is one file, conf/experiment/birds.yaml for instance:

  # @package _global_
  defaults:
    - linear_head
    - _self_
  report: birds
  data:
    name: birds
    dir: photos        # photos/<class>/*.jpg

example:
  convlab pipeline && dvc repro compare@birds
"""

from convlab.base.console import console
from convlab.base.errors import ConvlabError


def run(args: list[str]) -> int:
    """Write the list; returns the exit status."""
    if flags := [word for word in args if not word.isidentifier()]:
        raise ConvlabError(f"'{flags[0]}' is not a report's name (`convlab pipeline --help`).")
    from convlab.runs import pipeline

    changed = pipeline.write_list(args)
    console.print(f"{pipeline.FILE}: {'written' if changed else 'unchanged'}", markup=False)
    return 0

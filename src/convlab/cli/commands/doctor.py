"""Say what convlab finds on this machine and in this project, and what is wrong.

usage: convlab doctor [--json]

Looks at Python, the packages' versions and convlab's extras, torch and its devices, the optional runtimes,
git, the DVC pipeline, MLflow's database or server, the mirror, fetched data and weights, write permissions,
free space and ports. Nothing is changed: a file is written to each folder and deleted.

Each finding is ok, a warning (it works, but not as one would expect) or a problem (something fails because
of it), and for what isn't ok the way out stands below. The exit status is 1 if there is a problem.
Passwords in addresses are never printed.

  --json   for programs: a list of findings with subject, name, status, text and remedy

Include the output when you ask for help.

examples
  convlab doctor
  convlab doctor --json
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.cli.diagnosis import computing, machine, packages, published_files, repository, tracking_database
from convlab.cli.diagnosis.finding import Finding, Status, problem

STYLES = {Status.OK: "green", Status.WARNING: "bold yellow", Status.PROBLEM: "bold red"}
WIDE = 1000  # columns: in a file no line is folded


def run(args: list[str]) -> int:
    """Look at everything; 1 if there is a problem."""
    parser = argparse.ArgumentParser(prog="convlab doctor", add_help=False)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(args)
    findings = look()
    if options.json:
        rows = [{"subject": subject, **asdict(each)} for subject, part in findings.items() for each in part]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _show(findings)
    return int(any(each.status is Status.PROBLEM for part in findings.values() for each in part))


def look() -> dict[str, list[Finding]]:
    """All findings by their subject."""
    trials = computing.begin()
    found = {"Python": packages.look()}
    try:
        project = project_dir()
    except ConvlabError as error:
        text, _, remedy = str(error).partition(". ")
        found["Project"] = [problem("folder", text, remedy)]
    else:
        found["Project"] = repository.look(project)
        found["Data"] = published_files.look()
        found["MLflow"] = tracking_database.look()
        found["Machine"] = machine.look()
    return found | {"Computing": computing.look(trials)}


def _show(found: dict[str, list[Finding]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for subject, findings in found.items():
        table.add_row(Text(subject, style="bold"))
        for each in findings:
            text = Text(each.text)
            if each.remedy:
                text.append(f"\n→ {each.remedy}", style="bold")
            table.add_row(Text(f"  {each.status}", style=STYLES[each.status]), each.name, text)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE)
    with console.capture() as lines:
        console.print(table)
    print("\n".join(line.rstrip() for line in lines.get().splitlines()))
    counts = Counter(each.status for part in found.values() for each in part)
    print(f"\n{_count(counts, Status.PROBLEM)}, {_count(counts, Status.WARNING)}")


def _count(counts: Counter[Status], status: Status) -> str:
    number = counts[status]
    return f"{number or 'no'} {status}{'' if number == 1 else 's'}"

"""`convlab <verb>`: finds the verb's file in `commands/`, prints its help, runs it.

A verb's help is the docstring of its file, read without importing it, so that `--help` costs nothing.
"""

import ast
import atexit
import gc
import importlib
import os
import sys
from pathlib import Path

from convlab import __version__
from convlab.base import orphans
from convlab.base.errors import ConvlabError, near

GROUPS = {
    "Project": ("new", "learn"),
    "Data": ("fetch", "mirror", "features", "cache"),
    "Training": ("train", "sweep", "cv"),
    "The pipeline": ("pipeline", "compose"),
    "Results": ("evaluate", "compare", "visualize", "ui", "sync"),
    "Models": ("promote", "rollback", "predict", "export", "serve"),
    "On paper": ("summary", "size"),
    "This machine": ("doctor", "completion"),
}
VERBS = tuple(verb for group in GROUPS.values() for verb in group)
INTRODUCTION = """convlab: the reproducible path from images to a compared, understood and served classifier.

usage: convlab <verb> [arguments]        convlab <verb> --help teaches each

The whole pipeline is `dvc repro`; each of its stages is one of these verbs:
"""
CLOSING = """
A first look:      make demo      (where there is no project yet: convlab new DIR)
Your own photos:   convlab learn FOLDER
One training:      convlab train experiment=lenet
A sweep:           convlab train -m experiment=lenet,lenet5 seed=1,2
Browse the runs:   convlab ui
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status (1: an error the user can mend, 2: a wrong call)."""
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None:  # a process of its own
        # Nearly all objects are imported modules' and stay: by default the search for cycles among them takes
        # a sixth of the imports' time, and 2 s once more at the end.
        gc.set_threshold(50_000)
        atexit.register(gc.freeze)
        orphans.end_with_dvc()
    try:
        return _dispatch(words)
    except BrokenPipeError:  # `convlab ... | head`: nobody reads on, and the exit must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"convlab {__version__}")
        return 0
    verb, rest = words[0], words[1:]
    if verb not in VERBS:
        print(f"convlab: there is no verb '{verb}'. {near(verb, VERBS, 1)}\n\n{_overview()}", file=sys.stderr)
        return 2
    if "-h" in rest or "--help" in rest:
        print(_help(verb))
        return 0
    return _run(verb, rest)


def _run(verb: str, rest: list[str]) -> int:
    try:
        return int(importlib.import_module(f"convlab.cli.commands.{verb}").run(rest) or 0)
    except ConvlabError as error:
        print(f"convlab {verb}: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        from convlab.cli import extras

        if (remedy := extras.remedy(error.name or "")) is None:
            raise
        print(f"convlab {verb} needs {remedy}", file=sys.stderr)
        return 1
    except OSError as error:
        from convlab.base.files import unwritten

        if (told := unwritten(error, _home())) is None:
            raise
        print(f"convlab {verb}: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nconvlab {verb}: stopped. The same command resumes from here.", file=sys.stderr)
        return 130


def _home() -> Path:
    """The project, or the current folder where there is none."""
    from convlab.base.project import project_dir

    try:
        return project_dir()
    except ConvlabError:
        return Path.cwd()


def docstring(verb: str) -> str:
    """What stands at the head of the verb's file."""
    source = Path(__file__).with_name("commands") / f"{verb}.py"
    return ast.get_docstring(ast.parse(source.read_text())) or ""


def _overview() -> str:
    lines = []
    for title, verbs in GROUPS.items():
        lines += ["", title, *(f"  {verb:<10} {docstring(verb).splitlines()[0]}" for verb in verbs)]
    return INTRODUCTION + "\n".join(lines) + "\n" + CLOSING.rstrip()


def _help(verb: str) -> str:
    text = docstring(verb)
    try:
        choices = _choices(text)
    except ConvlabError:  # outside a project there is nothing to choose from yet
        choices = ""
    return f"convlab {verb}: {text}\n{choices}".rstrip()


def _choices(text: str) -> str:
    """The groups that a verb's help names as `<group>=`, with what `conf/` offers for each."""
    import textwrap

    from convlab.base.project import conf_groups

    lines = []
    for group, files in conf_groups().items():
        if f"{group}=" in text:
            names = f"  {group}=" + "| ".join(files)
            lines.append(textwrap.fill(names, 110, subsequent_indent="    ").replace("| ", "|"))
    return "\nChoices in conf/:\n" + "\n".join(lines) if lines else ""

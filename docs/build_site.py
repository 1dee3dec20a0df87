"""Build the documentation's site: `make docs` writes site/index.html. A warning is an error.

The pages are docs/ as it stands, README.md as their home, the repository's other pages, every verb's help,
and for each room of src/convlab/ its signatures and docstrings, read without importing the code. They are
brought together in build/docs/: links in README.md are for a reader of the repository, whose folders the site
lacks.

Zensical is what goes on of MkDocs and its Material theme, which are no longer developed.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from convlab.cli.main import VERBS, docstring

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "convlab"
STAGED = ROOT / "build" / "docs"
# The repository's pages outside docs/, and what they are called in the site
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "assets/sample/README.md": "sample.md",
}
LINKS = {"](docs/": "](", **{f"]({page})": f"]({name})" for page, name in OUTSIDE.items()}}


def main() -> int:
    """Bring the pages together and build them; the exit status is Zensical's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--serve", action="store_true", help="show them at http://127.0.0.1:8000 instead")
    stage()
    config = ["--config-file", str(ROOT / "zensical.toml")]
    if parser.parse_args().serve:
        command = ["serve", *config, "--dev-addr", "127.0.0.1:8000"]
    else:
        command = ["build", *config, "--clean", "--strict"]
    done = subprocess.run(
        [sys.executable, "-m", "zensical", *command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    print(done.stderr.partition("Traceback")[0], end="", file=sys.stderr)  # that it stops is no surprise
    return done.returncode


def stage() -> None:
    """Write build/docs/ anew."""
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(ROOT / "docs", STAGED, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for page, name in OUTSIDE.items():
        text = (ROOT / page).read_text()
        for link, target in LINKS.items():
            text = text.replace(link, target)
        (STAGED / name).write_text(text)
    for page in STAGED.rglob("*.md"):
        page.write_text(fences(page.read_text()))
    (STAGED / "api").mkdir()
    for room in rooms():
        (STAGED / "api" / f"{room}.md").write_text(reference(room))
    (STAGED / "api" / "commands.md").write_text(commands())


def fences(page: str) -> str:
    """A page as Python-Markdown takes it: when commands run concerns the tests, a file's place is a title."""
    page = re.sub(r"^```(\w+) (slow|hours|elsewhere|about|slow about)$", r"```\1", page, flags=re.MULTILINE)
    return re.sub(r"^```(\w+) +(.+)$", r'```\1 title="\2"', page, flags=re.MULTILINE)


def rooms() -> list[str]:
    """The folders of the package."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def reference(room: str) -> str:
    """A page with every module of a room."""
    files = sorted((PACKAGE / room).rglob("*.py"))
    parts = [path.relative_to(PACKAGE).with_suffix("").parts for path in files]
    parts = [each for each in parts if "commands" not in each]  # a page of their own
    modules = [".".join(("convlab", *each)) for each in parts if not each[-1].startswith("__")]
    options = "{members: false, show_root_heading: false}"
    heading = f"# convlab.{room}\n\n::: convlab.{room}\n    options: {options}"
    return "\n\n".join([heading, *(f"::: {module}" for module in modules)]) + "\n"


def commands() -> str:
    """A page with each verb's help, as `convlab <verb> --help` prints it."""
    texts = [f"## {verb}\n\n```text\nconvlab {verb}: {docstring(verb)}\n```" for verb in VERBS]
    return "\n\n".join(["# The command line", *texts]) + "\n"


if __name__ == "__main__":
    sys.exit(main())

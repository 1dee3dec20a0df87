"""What may stand next on a `convlab` command line.

Verbs, options and keys are read from the verbs' docstrings, choices from `conf/`, names from the folders of
the project. Imports nothing that takes time: a person waits for it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from convlab.base.errors import ConvlabError
from convlab.base.project import conf_dirs, conf_groups, home_dir, project_dir
from convlab.runs.metrics import RANKING

VERBS_DIR = Path(__file__).parents[1] / "commands"
SHELLS = ("bash", "zsh", "fish")


def proposals(line: str, verbs: tuple[str, ...]) -> list[tuple[str, str]]:
    """Words that `line`'s last one may become, each with a description or ''; [] where files may do.

    `line` is the command line up to the cursor. A word that ends with `=`, `.`, `/` or `,` is not complete.
    """
    words = re.split(r"\s+", line.lstrip())
    *before, word = words[1:] or [""]
    if not before:
        found = [(verb, _help(verb).partition("\n")[0]) for verb in verbs]
    elif before[0] not in verbs:
        return []
    else:
        found = [(each, "") for each in _Call(before[0], before[1:], word).words()]
    return [(each, description) for each, description in found if each.startswith(word)]


@dataclass(frozen=True)
class _Call:
    """A verb, the words after it, and the `word` that is being typed."""

    verb: str
    before: list[str]
    word: str

    @cached_property
    def help(self) -> str:
        return _help(self.verb)

    def words(self) -> list[str]:
        try:
            return self._words()
        except ConvlabError:  # outside a project there are no names
            return []

    def _words(self) -> list[str]:
        last = self.before[-1] if self.before else ""
        if last in VALUES:
            return VALUES[last]()
        takes = re.search(rf"{re.escape(last)} ([a-z]+(?:\|[a-z]+)+|[A-Z0-9])", self.help)
        if last.startswith("--") and takes:  # these words, or else a file or a number
            return takes[1].split("|") if "|" in takes[1] else []
        if self.word.startswith("-"):
            return self._options()
        key, equals, value = self.word.partition("=")
        if equals:
            *earlier, _ = value.split(",")  # of a sweep: experiment=lenet,le
            start = "".join(f"{each}," for each in earlier)
            return [f"{key}={start}{each}" for each in self._values(key) if each not in earlier]
        return self._keys() + [name for name in self._names() if name not in self.before]

    def _options(self) -> list[str]:
        return sorted(
            {*re.findall(r"(?<![\w-])--[a-z][a-z-]*", self.help.partition("\nexample")[0]), "--help"}
        )

    def _names(self) -> list[str]:
        return POSITIONAL[self.verb]() if self.verb in POSITIONAL else []

    def _keys(self) -> list[str]:
        """`key=` of what the verb's help names, of the groups in conf/ and of the settings in train.yaml."""
        group = self.word.rpartition(".")[0]
        keys = {key for key, _ in self._shown()}
        if "key=value" in self.help:
            keys = keys - {"key"} | set(conf_groups())
            keys |= {key for folder in conf_dirs() for key in _settings(folder / "train.yaml")}
        if group in conf_groups():
            keys = {f"{group}.{key}" for file in conf_groups()[group].values() for key in _settings(file)}
        elif not group:
            keys = {key for key in keys if "." not in key}
        return [f"{key}=" for key in sorted(keys)]

    def _values(self, key: str) -> list[str]:
        """Choices of a group, runs for `name`, else the words that the verb's help shows as values."""
        if key in conf_groups():
            return list(conf_groups()[key])
        if key == "name":
            return _runs()
        return sorted({value for name, value in self._shown() if name == key and value.islower()})

    def _shown(self) -> list[tuple[str, str]]:
        """Each `key=value` in the usage and in the lists of settings of the verb's help."""
        usage, _, rest = self.help.partition("usage:")[2].partition("\n\n")
        lists = "\n".join(line for line in rest.splitlines() if re.match(r"  (?!convlab)", line))
        return re.findall(r"(?<![\w/.:'-])([a-z][\w.]*)=(\w*)", f"{usage}\n{lists}")


def _help(verb: str) -> str:
    """The docstring of the verb's file, by its quotes alone: to parse the file would take longer."""
    return (VERBS_DIR / f"{verb}.py").read_text().split('"""')[1]


def _settings(file: Path) -> list[str]:
    """The top-level keys of a YAML file, by their lines; those for Hydra and for fetching left out."""
    keys = re.findall(r"^([a-z]\w*):", file.read_text(), re.MULTILINE)
    return [key for key in keys if key not in ("defaults", "hydra", "sources")]


def _runs() -> list[str]:
    return sorted(path.parent.name for path in (project_dir() / "runs").glob("*/config.yaml"))


def _evaluated() -> list[str]:
    return sorted(path.parent.name for path in (project_dir() / "runs").glob("*/metrics.json"))


def _sources() -> list[str]:
    files = [file for group in ("data", "backbone") for file in conf_groups()[group].values()]
    return sorted(file.stem for file in files if "\nsources:" in file.read_text())


def _champions() -> list[str]:
    return sorted(path.parent.name for path in (home_dir() / "champions").glob("*/history.json"))


def _models() -> list[str]:
    data = _champions()
    champions = ["champion", *(f"champion/{each}" for each in data)] if data else []
    backbones = [name for name in conf_groups().get("backbone", {}) if name != "none"]
    return [*champions, *_runs(), *backbones]


VALUES: dict[str, Callable[[], list[str]]] = {
    "--model": _models,
    "--metric": lambda: list(RANKING),
    "--data": _champions,
}
POSITIONAL: dict[str, Callable[[], list[str]]] = {
    "fetch": _sources,
    "mirror": _sources,
    "evaluate": _runs,
    "sync": _runs,
    "compare": _evaluated,
    "promote": lambda: ["best", *_evaluated()],
    "rollback": _champions,
    "export": _models,
    "completion": lambda: list(SHELLS),
}

"""What the project's pages have to run, from top to bottom; page_reader.py runs it.

The word after a fence's language says when its commands run:

    ```bash              in every test run, on the embedded sample
    ```bash slow         with the published data
    ```bash hours        with the published data, trainings cut to twenty steps, searches to three trials
    ```bash elsewhere    not by the page's test: test_pages.py says of each why, and what does

So it is for ```python and ```console, where lines after "$ " are commands, the others what each prints.
A ```text block is part of what the last commands before it printed; "..." stands for anything, and how
long something took is not compared. In ```text about and ```console slow about, fractions may differ a bit.
A fence that names a place writes a file: new, "appended" to it, or "after: <a line>" of it.
What holds ">>> " are examples as of doctest. A server runs until the page ends, and must answer.
"""

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

PACES = ("", "slow", "hours", "elsewhere")
TWENTY_STEPS = "++trainer.max_steps=20 ++trainer.limit_train_batches=20"
THREE_TRIALS = "++search.num_trials=3"

FENCE = re.compile(r"^```(?P<language>\w+) ?(?P<words>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS = ("|", ">", "&&", ";")  # of a command within a line
FRACTION = re.compile(r"\d+\.\d+")
TOLERANCE = 0.03
DURATION = re.compile(r"\b\d+(\.\d+)? (?=(ms|s|min)\b)|\b\d\.\de-\d\d\b|\(\d+ s\)")


@dataclass(frozen=True)
class Commands:
    """Shell commands or a Python program, and their line in the page; `shown` is part of what they print."""

    line: int
    text: str
    pace: str = ""
    language: str = "bash"
    shown: tuple["Shown", ...] = ()


@dataclass(frozen=True)
class Examples:
    """What lies between two other steps, where it holds Python examples."""

    line: int
    text: str


@dataclass(frozen=True)
class File:
    """A file, as `place` says: "<name>", "<name> appended" or "<name> after: <a line>"."""

    line: int
    text: str
    place: str

    def write(self, folder: Path) -> None:
        name, _, after = self.place.partition(" after: ")
        file, text = folder / name.removesuffix(" appended"), self.text
        if name.endswith(" appended"):
            text = file.read_text() + "\n" + text
        elif after:
            before = file.read_text()
            assert before.count(f"{after}\n") == 1, (name, after)
            text = before.replace(f"{after}\n", f"{after}\n{text}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


Step = Commands | Examples | File


def steps(page: str) -> list[Step]:
    """What a reader of `page` runs and writes, from top to bottom."""
    found: list[Step] = []
    end = 0
    for fence in FENCE.finditer(page):
        line = page.count("\n", 0, fence.start()) + 2
        if fence["language"] == "text":
            last = max((k for k, step in enumerate(found) if isinstance(step, Commands)), default=None)
            if last is not None:
                found[last] = replace(
                    found[last], shown=(*found[last].shown, Shown(fence["text"], fence["words"] == "about"))
                )
            continue
        if not (parts := _parts(fence, line)):
            continue
        found += [*_examples(page, end, fence.start()), *parts]
        end = fence.end()
    return [*found, *_examples(page, end, len(page))]


def _parts(fence: re.Match[str], line: int) -> list[Step]:
    language, words, text = fence["language"], fence["words"], fence["text"]
    if language == "console":
        return list(_asked(text, line, words.split()))
    if language == "bash" or (language == "python" and words in PACES[1:]):
        return [Commands(line, text, words, language)]
    return [File(line, text, words)] if words else []


def _pace(words: list[str]) -> str:
    return " ".join(word for word in words if word != "about")


def _asked(text: str, line: int, words: list[str]) -> Iterator[Commands]:
    for found in re.finditer(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        at = line + text.count("\n", 0, found.start())
        shown = Shown(found[2], "about" in words)
        yield Commands(at, found[1].replace("\n> ", "\n"), _pace(words), "console", (shown,))


def _examples(page: str, start: int, end: int) -> list[Step]:
    between = page[start:end]
    if ">>> " not in between:
        return []
    unfenced = re.sub(r"^```.*$", "", between, flags=re.MULTILINE)  # or it would be expected output
    return [Examples(page.count("\n", 0, start) + 1, unfenced)]


def shortened(text: str) -> str:
    """`text` with each training cut to an epoch of 20 steps: it is validated and saved all the same."""
    joined = re.sub(r"\\\n\s*", "", text)
    cut = {"train": TWENTY_STEPS, "cv": TWENTY_STEPS, "sweep": f"{TWENTY_STEPS} {THREE_TRIALS}"}
    return re.sub(
        r"^(convlab (train|cv|sweep) [^#\n]*?)(?=\s*(#|$))",
        lambda found: f"{found[1]} {cut[found[2]]}",
        joined,
        flags=re.MULTILINE,
    )


def verbs(text: str) -> Iterator[list[str]]:
    """The words of each convlab command in a block, from its verb on."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        words = shlex.split(line, comments=True)
        ends = [k for k, word in enumerate(words) if word in ENDS]
        for start, end in zip([-1, *ends], [*ends, len(words)], strict=True):
            command = words[start + 1 : end]
            while command and "=" in command[0]:  # a variable of its environment
                del command[0]
            if command[:1] == ["convlab"]:
                yield command[1:]


@dataclass(frozen=True)
class Shown:
    """What a page shows of an output. `about`: fractions may differ by a few per cent, as processors do."""

    text: str
    about: bool = False

    def is_part_of(self, said: str) -> bool:
        """Whether these lines follow one another in `said`, less blank ones; each may end between words."""
        said = DURATION.sub("", said)
        lines = [line.rstrip() for line in DURATION.sub("", self.text).splitlines() if line.strip()]
        pattern = r"\n\s*?".join(rf"{_pattern(line, self.about)}(?!\S)[^\n]*" for line in lines)
        return any(
            self._equal(found) for found in re.finditer(rf"^{pattern}$", said, re.MULTILINE | re.DOTALL)
        )

    def _equal(self, found: re.Match[str]) -> bool:
        if not self.about:
            return True
        wanted = [float(number) for number in FRACTION.findall(DURATION.sub("", self.text))]
        return all(
            math.isclose(number, float(group), rel_tol=TOLERANCE)
            for number, group in zip(wanted, found.groups(), strict=True)
        )


def _pattern(line: str, about: bool) -> str:
    """What a shown line matches; in it, each fraction is a group if it need not be the same."""
    parts = FRACTION.split(line) if about else [line]
    return r"(\d+\.\d+)".join(re.escape(part).replace(r"\.\.\.", ".*?") for part in parts)

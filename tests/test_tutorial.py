"""The tutorial's pages do what they say: every command and example runs, every link and picture exists.

A page's fences say when its commands run: ```bash on the embedded sample, ```bash slow and ```bash hours
with the published data (`make test-slow`), where those of hours stop after 20 steps.
"""

import doctest
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial"
PAGES = sorted(path for path in TUTORIAL.glob("*.md") if path.name != "README.md")
LONG = ("05-lenet5", "06-lenet-mnist", "07-recipe", "08-inception", "09-transfer")  # the others take less
QUICK_AND_LONG = [
    pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in LONG else []) for page in PAGES
]
WRITTEN = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
MAX_PICTURE_BYTES = 300_000
TWENTY_STEPS = "++trainer.max_steps=20 ++trainer.limit_train_batches=20"
CLOSED_DOOR = "http://127.0.0.1:9"  # where any way out to a network leads

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<picture>!?)\[[^\]]*\]\((?P<target>[^()\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
SCHEME = re.compile(r"[a-z]+:")


@dataclass(frozen=True)
class Commands:
    """A fenced block of shell commands, and its line in the page; `pace` is "", "slow" or "hours"."""

    line: int
    text: str
    pace: str


@dataclass(frozen=True)
class Examples:
    """What lies between two blocks of commands, where it holds Python examples."""

    line: int
    text: str


def steps(page: str) -> list[Commands | Examples]:
    """What a reader of `page` runs, from top to bottom."""
    found: list[Commands | Examples] = []
    end = 0
    for fence in [*(f for f in FENCE.finditer(page) if f["info"].split()[:1] == ["bash"]), None]:
        between = page[end : fence.start() if fence else len(page)]
        if ">>> " in between:
            unfenced = re.sub(r"^```.*$", "", between, flags=re.MULTILINE)  # or it would be expected output
            found.append(Examples(page.count("\n", 0, end) + 1, unfenced))
        if fence:
            pace = fence["info"].partition(" ")[2].strip()
            found.append(Commands(page.count("\n", 0, fence.start()) + 2, fence["text"], pace))
            end = fence.end()
    return found


def follow(page: Path, paces: tuple[str, ...]) -> None:
    """Run the page's examples and its commands of these paces in the current directory."""
    names: dict[str, object] = {}
    for step in steps(page.read_text()):
        if isinstance(step, Examples):
            check(step, page, names)
        elif step.pace in paces:
            execute(step, page)


def execute(commands: Commands, page: Path) -> None:
    text = commands.text if commands.pace != "hours" else shortened(commands.text)
    env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e"], input=text, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        place = f"{page.relative_to(ROOT)}:{commands.line}"
        pytest.fail(f"{place}: exit status {done.returncode}\n{text}\n{done.stdout}", pytrace=False)


def shortened(text: str) -> str:
    """`text` with each training cut to an epoch of 20 steps: it is validated and saved all the same."""
    joined = re.sub(r"\\\n\s*", "", text)
    return re.sub(r"^(convlab train [^#\n]*?)(?=\s*(#|$))", rf"\1 {TWENTY_STEPS}", joined, flags=re.MULTILINE)


def check(examples: Examples, page: Path, names: dict[str, object]) -> None:
    """Run Python examples; `names` is what the page has defined so far."""
    test = doctest.DocTestParser().get_doctest(
        examples.text, {}, page.name, str(page.relative_to(ROOT)), examples.line - 1
    )
    test.globs = names
    report = io.StringIO()
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.DocTestRunner(optionflags=flags).run(test, out=report.write, clear_globs=False)
    if result.failed:
        pytest.fail(report.getvalue(), pytrace=False)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", path.read_text())):
        anchor, number = slug(heading), 0
        while anchor in found:
            number += 1
            anchor = f"{slug(heading)}-{number}"
        found.add(anchor)
    return found


def links(path: Path, pictures: bool = False) -> list[str]:
    """Targets of the page's links, or of its pictures alone; what is code is no link."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text()))
    return [link["target"] for link in LINK.finditer(prose) if link["picture"] or not pictures]


@pytest.fixture
def offline(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`project`, with no way out to a network."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, CLOSED_DOOR)
    return project


def paced(*paces: str) -> list[Path]:
    """The pages that have commands of these paces."""
    blocks = {page: steps(page.read_text()) for page in PAGES}
    return [
        page
        for page, found in blocks.items()
        if any(isinstance(step, Commands) and step.pace in paces for step in found)
    ]


@pytest.mark.timeout(900)  # of a busy machine; otherwise seconds
@pytest.mark.parametrize("page", QUICK_AND_LONG)
def test_a_page_runs_on_the_sample(page, offline):
    follow(page, ("",))


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("page", paced("slow", "hours"), ids=lambda page: page.stem)
def test_a_page_runs_on_the_published_data(page, offline, mirror, monkeypatch):
    monkeypatch.setenv("CONVLAB_MIRROR", mirror)
    follow(page, ("", "slow", "hours"))


def test_commands_have_a_pace_that_is_known():
    for path in PAGES:
        for step in steps(path.read_text()):
            assert isinstance(step, Examples) or step.pace in ("", "slow", "hours"), (path.name, step)


def test_the_index_has_every_page_in_order():
    listed = [target for target in links(TUTORIAL / "README.md") if re.fullmatch(r"\d\d-[\w-]+\.md", target)]
    assert listed == [page.name for page in PAGES]
    assert [int(name[:2]) for name in listed] == list(range(1, len(listed) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_pictures_and_leads_to_the_next(page):
    pictures = [page.parent / target for target in links(page, pictures=True)]
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < MAX_PICTURE_BYTES, picture.name
    if page != PAGES[-1]:
        assert PAGES[PAGES.index(page) + 1].name in links(page)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in links(path):
        if SCHEME.match(target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


class TestReading:
    """The reading of a page itself, on pages made for it."""

    PAGE = (
        "# A\n\n    >>> x = 1\n\n```bash\ntrue\n```\n\n```python\n>>> x\n1\n```\n\n```bash slow\nfalse\n```\n"
    )

    def test_commands_and_examples_come_in_the_page_s_order(self):
        first, commands, second, slow = steps(self.PAGE)
        assert (commands, slow) == (Commands(6, "true\n", ""), Commands(15, "false\n", "slow"))
        assert ">>> x = 1" in first.text
        assert ">>> x\n1\n\n" in second.text  # the fence is no part of what is expected

    def test_a_failure_shows_the_place_the_block_and_its_output(self, project):
        page = TUTORIAL / "README.md"
        with pytest.raises(pytest.fail.Exception) as failure:
            execute(Commands(7, "echo said\nfalse\necho unreached\n", ""), page)
        assert failure.value.msg == (
            "docs/tutorial/README.md:7: exit status 1\necho said\nfalse\necho unreached\n\nsaid\n"
        )
        with pytest.raises(
            pytest.fail.Exception, match=r"(?s)line 12, in README.*Expected:\n    3\nGot:\n    2"
        ):
            check(Examples(11, "\n>>> 1 + 1\n3\n"), page, {})

    def test_hours_are_cut_to_twenty_steps(self):
        text = (
            "convlab fetch x\nconvlab train experiment=a \\\n  name=b   # long\nconvlab train experiment=c\n"
        )
        assert shortened(text) == (
            f"convlab fetch x\nconvlab train experiment=a name=b {TWENTY_STEPS}   # long\n"
            f"convlab train experiment=c {TWENTY_STEPS}\n"
        )

    def test_anchors_as_github_makes_them(self, tmp_path):
        path = tmp_path / "page.md"
        path.write_text(
            "# Output size\n\n```bash\n# no heading\n```\n## `P`, ceil (PyTorch)\n## Output size\n"
        )
        assert anchors(path) == {"output-size", "p-ceil-pytorch", "output-size-1"}

"""Every page does what it says: its commands run, in its order, and print what it shows.

tests/support/pages.py says how a page's fences tell when. docs/how-to/extend.md and python-api.md have tests
of their own, which prepare more: test_extend.py, test_python_api.py.
"""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from filelock import FileLock
from page_reader import BIN, Reader
from pages import PACES, Commands, File, Shown, shortened, steps, verbs
from PIL import Image

from convlab.base import config, launchers, overriding
from convlab.base.errors import ConvlabError
from convlab.cli.main import VERBS, docstring

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ALL = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "assets/sample/README.md")),
    *DOCS.rglob("*.md"),
]
FOLLOWED_BY_OTHERS = ("extend.md", "python-api.md")
PAGES = sorted(page for page in ALL if page.name not in FOLLOWED_BY_OTHERS)
# Pages whose quick commands take a minute all the same
LONG = (
    *("04-fully-connected", "05-lenet5", "06-lenet-mnist", "07-recipe", "08-inception", "09-transfer"),
    "own-pixels",
)
COMPOSED = ("train", "features", "sweep", "cv", "visualize")

TEAM = "tests/tracking/test_team_services.py"
# Why a block is run elsewhere, or nowhere, by its page and its first words
ELSEWHERE = {
    ("README.md", "make demo"): "sets up .venv, and would run these tests: test_setup.py, test_pipeline.py",
    (
        "README.md",
        "dvc repro",
    ): "the whole pipeline takes half an hour: test_pipeline.py runs the sample's part",
    ("CONTRIBUTING.md", "make check"): "would run these tests",
    ("docs/how-to/install.md", "make demo "): "sets up .venv: test_setup.py",
    ("docs/how-to/install.md", "make demo PYTHON"): "sets up .venv: test_setup.py",
    ("docs/how-to/install.md", "python3 -m venv"): "test_wheel.py builds the wheel and follows this",
    (
        "docs/how-to/install.md",
        "pip install 'convlab[",
    ): "convlab is on no index; test_requirements.py, test_wheel.py",
    ("docs/how-to/mirrors.md", "convlab mirror"): "downloads from the publishers: test_mirror.py",
    ("docs/how-to/mirrors.md", "export CONVLAB_MIRROR"): "test_fetch.py, and every slow test of a page",
    ("docs/how-to/sweeps.md", "pip install"): "needs a database server: test_postgresql.py",
    ("docs/how-to/sweeps.md", "convlab train -m"): "needs clusters: training/test_launchers.py has them",
    ("docs/how-to/predict.md", "convlab predict https"): "needs the network: test_predict.py has a server",
    ("docs/how-to/browse.md", "export MLFLOW"): "needs a server at that address: tests/tracking/test_away.py",
    ("docs/how-to/browse.md", "convlab train experiment=lenet\n"): "a server that is away: test_away.py",
    ("docs/how-to/browse.md", "convlab sync"): "what waits for it: test_away.py",
    ("docs/how-to/browse.md", "dvc plots"): "needs the pipeline's repository: test_pipeline.py",
    ("docs/how-to/several-devices.md", "convlab train"): "takes two cores: training/test_distributed.py",
    ("docs/how-to/several-devices.md", "torchrun"): "needs several machines: test_distributed.py on one",
    ("docs/how-to/several-devices.md", "#SBATCH"): "needs a cluster: test_distributed.py on one machine",
    (
        "docs/how-to/cluster.md",
        "ray start",
    ): "needs Ray: features/test_cluster_page.py does so",
    ("docs/how-to/cluster.md", "export CONVLAB_CACHE"): "needs a store: features/test_on_ray.py has one",
    ("docs/how-to/several-devices.md", "from ray.train"): "needs Ray: training/test_distributed.py",
    ("docs/how-to/docker.md", "docker build"): "needs an engine: test_docker.py checks what can be without",
    ("docs/how-to/docker.md", "mkdir -p"): "needs an engine",
    ("docs/how-to/docker.md", "docker run"): "needs an engine",
    ("docs/how-to/team-server.md", "export MLFLOW"): f"needs a server at that address: {TEAM}",
    ("docs/how-to/team-server.md", "convlab predict"): f"what that server has: {TEAM}",
    ("docs/how-to/team-server.md", "(umask"): "needs an engine: test_deploy.py checks what can be without",
    ("docs/how-to/team-server.md", "pip install"): f"needs PostgreSQL and an object store: {TEAM}",
    ("docs/how-to/team-server.md", "dvc remote"): f"needs an object store: {TEAM}",
    ("docs/how-to/team-server.md", "python3 -m venv"): f"installs from an index: {TEAM} pushes where it is",
    ("docs/how-to/team-server.md", "export CONVLAB"): f"needs a database server: {TEAM}",
    ("docs/how-to/team-server.md", "kubectl"): "needs a cluster: test_deploy.py checks what can be without",
    ("docs/how-to/team-server.md", "docker build"): "needs an engine and a cluster: test_deploy.py",
}

PROMOTED = "convlab promote linear_head"
# What a page takes for granted, beside the published data, vectors of the photos and both heads, evaluated
GIVEN = {
    "docs/how-to/predict.md": PROMOTED,
    "docs/how-to/serve.md": PROMOTED,
    "docs/how-to/promote.md": "convlab train experiment=linear_head trainer.max_epochs=1 optimizer.lr=0.001 "
    "name=hasty evaluate=true",
    "docs/how-to/browse.md": shortened("convlab train experiment=lenet5 evaluate=true"),
}


def at(*paces: str) -> list[Path]:
    """The pages that have something to run at one of these paces."""
    return [page for page in PAGES if any(_pace(step) in paces for step in steps(page.read_text()))]


def _pace(step: object) -> str | None:
    return getattr(step, "pace", "" if type(step).__name__ == "Examples" else None)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def offline(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`project`, with no way out to a network."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # a closed door
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    return project


PREPARATION = """
convlab fetch mnist flowers inception_v3
convlab features data=flowers
convlab train experiment=linear_head evaluate=true
convlab train experiment=mlp_head evaluate=true
"""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A project with what most pages begin with, on the published data: to be copied from. Made once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "published"
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shutil.copytree(ROOT / "conf", folder / "conf")
            run(folder, PREPARATION, CONVLAB_MIRROR=os.environ.get("TESTS_MIRROR", ""))
            (folder / "complete").touch()
    return folder


def give(published: Path, project: Path, more: str) -> None:
    """What `published` has, the pipeline's files under Git, and what these commands make."""
    for path in published.iterdir():
        if path.is_dir() and path.name != "conf":
            shutil.copytree(path, project / path.name)
        elif path.name.startswith("mlflow.db"):
            shutil.copy(path, project)
    for name in ("dvc.yaml", "pipeline.yaml", ".gitignore"):
        shutil.copy(ROOT / name, project)
    (project / "src").symlink_to(ROOT / "src")
    gate = project / "conf" / "gate.yaml"  # a machine that is busy with other tests is slow
    birds = "  birds: { min_accuracy: 0.6 } # of 32 test photos, few accuracies are surely 80 %\n"
    gate.write_text(gate.read_text().replace("max_latency_ms: 1000", "max_latency_ms: 100000") + birds)
    run(project, f"git init --quiet && dvc init --quiet\n{more}")


def give_photos(project: Path) -> None:
    """`rose.jpg`, photos in `photos/`, one in `more/`, and `birds/` and `new-birds/` in two classes."""
    birds = {"sunflowers": "sparrow", "tulips": "wren"}
    with tarfile.open(Path(os.environ["CONVLAB_MIRROR"]) / "flower_photos.tgz") as archive:
        kept = dict.fromkeys((*birds, "roses"), 0)
        for member in archive:
            name = Path(member.name).parent.name
            if name not in kept or kept[name] == 100:
                continue
            kept[name] += 1
            content = archive.extractfile(member).read()
            for target in _targets(name, kept[name], birds):
                (project / target).parent.mkdir(parents=True, exist_ok=True)
                (project / target).write_bytes(content)
    (project / "more" / "deep").mkdir(parents=True)
    Image.open(project / "rose.jpg").save(project / "more" / "deep" / "rose.png")


def _targets(name: str, number: int, birds: dict[str, str]) -> list[str]:
    flock = "birds" if number <= 80 else "new-birds"
    targets = [f"{flock}/{birds[name]}/{number}.jpg"] if name in birds else []
    if number <= 15:
        targets.append(f"photos/{name}/{number}.jpg")
    return [*targets, "rose.jpg"] if (name, number) == ("roses", 1) else targets


def run(folder: Path, commands: str, **more: str) -> None:
    env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "CONVLAB_PROJECT": str(folder)} | more
    done = subprocess.run(
        ["bash", "-e"],
        input=commands,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(900)  # of a busy machine; otherwise seconds
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(each, id=named(each), marks=[pytest.mark.slow] if each.stem in LONG else [])
        for each in at("")
    ],
)
def test_a_page_runs_on_the_sample(page, offline):
    shutil.copytree(ROOT / "assets" / "sample" / "patches", offline / "birds")  # two classes of photos
    Reader(page, here=True).follow()


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("page", at("slow", "hours"), ids=named)
def test_a_page_runs_on_the_published_data(page, offline, published, mirror, monkeypatch):
    monkeypatch.setenv("CONVLAB_MIRROR", mirror)
    if page.parent.name != "tutorial":  # whose pages begin with nothing
        give(published, offline, GIVEN.get(named(page), ""))
    give_photos(offline)
    Reader(page, ("", "slow", "hours"), stand_ins={"/path/to/photos": str(offline / "photos")}).follow()


def blocks() -> list[tuple[Path, Commands]]:
    return [
        (page, step) for page in sorted(ALL) for step in steps(page.read_text()) if isinstance(step, Commands)
    ]


def test_commands_have_a_pace_that_is_known():
    for page, block in blocks():
        assert block.pace in PACES, f"{named(page)}:{block.line}"


def test_what_runs_elsewhere_is_listed_with_its_reason():
    found = [(named(page), block.text) for page, block in blocks() if block.pace == "elsewhere"]
    listed = {
        (page, words)
        for page, words in ELSEWHERE
        for place, text in found
        if (place, text[: len(words)]) == (page, words)
    }
    assert listed == set(ELSEWHERE)
    assert len(found) == len(ELSEWHERE)


@pytest.mark.parametrize("page", sorted(ALL), ids=named)
def test_commands_are_understood(page, project, monkeypatch):
    """Also those that run at length or elsewhere: their verbs and options exist, their settings compose."""
    monkeypatch.setattr(launchers, "find_spec", lambda module: module)  # as if every extra were installed
    for step in steps(page.read_text()):
        if isinstance(step, File) and page.name not in FOLLOWED_BY_OTHERS:
            step.write(project)
        if not isinstance(step, Commands) or step.language == "python" or page.name in FOLLOWED_BY_OTHERS:
            continue
        for verb, *words in verbs(step.text.replace("--cfg job", "--cfg")):
            understand(verb, words)


def understand(verb, words):
    assert verb in (*VERBS, "--version"), verb
    if verb in COMPOSED:
        own = {"sweep": ("workers", "storage"), "cv": ("folds", "seeds"), "visualize": ("digest",)}
        _, rest = overriding.own_words(
            [word for word in words if not word.startswith("-")], own.get(verb, ())
        )
        config.check({"features": "features", "visualize": "visualize"}.get(verb, "train"), rest)
    for flag in (word for word in words if re.match(r"--?[a-z]", word)):
        assert flag in docstring(verb), f"{verb} {flag}"


def test_a_command_that_is_not_understood_is_told(project):
    with pytest.raises(ConvlabError, match="optimiser"):
        understand("train", ["experiment=lenet", "optimiser.lr=1"])
    with pytest.raises(AssertionError, match="--out"):
        understand("predict", ["rose.jpg", "--out"])


class TestReading:
    """The reading of a page itself, on pages made for it."""

    PAGE = (
        "# A\n\n    >>> x = 1\n\n```bash\ntrue\n```\n\n```python\n>>> x\n1\n```\n\n"
        "```bash slow\necho a\n```\n\n"
        "```text\na\n```\n\n```yaml conf/a.yaml\nb: 1\n```\n\n```console\n$ echo c\nc\n$ false\n```\n"
    )

    def test_steps_come_in_the_page_s_order(self):
        first, commands, second, slow, file, echo, false = steps(self.PAGE)
        assert ">>> x = 1" in first.text
        assert commands == Commands(6, "true\n")
        assert ">>> x\n1\n\n" in second.text  # the fence is no part of what is expected
        assert slow == Commands(15, "echo a\n", "slow", shown=(Shown("a\n"),))
        assert file == File(23, "b: 1\n", "conf/a.yaml")
        assert echo == Commands(27, "echo c\n", "", "console", (Shown("c\n"),))
        assert false == Commands(29, "false\n", "", "console", (Shown(""),))

    SAID = "warning: x\nTrained a in 14 s: /x/runs/a\n layer   size  field\n\n c1        28    3/1\n"

    @pytest.mark.parametrize(
        ("shown", "right"),
        [
            ("Trained a in 3 s: .../runs/a\n", True),  # seconds differ
            (" layer   size\n c1        28\n", True),  # columns are left out, and a blank line
            (" layer   size\n c1        2\n", False),
            (" c1        27\n", False),
            (" layer   size\nwarning: x\n", False),
            ("warning: x\n...\n c1        28\n", True),
        ],
    )
    def test_what_is_shown_is_part_of_what_is_printed(self, shown, right):
        assert Shown(shown).is_part_of(self.SAID) is right

    def test_fractions_may_be_about_right_where_the_page_says_so(self):
        said = "step 20: loss 2.8418\nstep 40: loss 1.0000\n"
        assert Shown("step 20: loss 2.8420\nstep 40: loss 1.0200\n", about=True).is_part_of(said)
        assert not Shown("step 20: loss 2.8420\nstep 40: loss 1.0400\n", about=True).is_part_of(said)
        assert not Shown("step 21: loss 2.8418\n", about=True).is_part_of(said)
        assert not Shown("step 20: loss 2.8420\n").is_part_of(said)

    @pytest.mark.parametrize(
        ("block", "message"),
        [
            (Commands(7, "echo said\nfalse\necho unreached\n"), "README.md:7: exit status 1\necho said\n"),
            (
                Commands(9, "echo said\n", shown=(Shown("sad\n"),)),
                "README.md:9: shows what was not printed\nsad\n",
            ),
            (Commands(9, "tensorboard --nothing\n"), "README.md:9: the server does not answer, or say"),
        ],
    )
    def test_a_failure_shows_the_place(self, project, block, message):
        with pytest.raises(pytest.fail.Exception) as failure:
            Reader(ROOT / "README.md").execute(block)
        assert failure.value.msg.startswith(message)

    def test_an_example_s_failure_shows_its_line(self, tmp_path):
        reader = Reader(ROOT / "README.md")
        [examples] = steps("\n" * 11 + ">>> 1 + 1\n3\n")
        with pytest.raises(
            pytest.fail.Exception, match=r"(?s)line 12, in README.*Expected:\n    3\nGot:\n    2"
        ):
            reader.check(examples)

    def test_hours_are_cut_to_twenty_steps(self):
        text = (
            "convlab fetch x\nconvlab train experiment=a \\\n  name=b   # long\nconvlab sweep experiment=c\n"
        )
        cut = "++trainer.max_steps=20 ++trainer.limit_train_batches=20"
        assert shortened(text) == (
            f"convlab fetch x\nconvlab train experiment=a name=b {cut}   # long\n"
            f"convlab sweep experiment=c {cut} ++search.num_trials=3\n"
        )

    def test_every_command_of_a_line_is_found(self):
        line = 'cat rose.jpg | convlab predict - --json | sort\neval "$(convlab completion bash)"\n'
        assert [words[:1] for words in verbs(line)] == [["predict"]]
        [found] = verbs("convlab train -m a=1,2 \\\n  b=2   # c\n")
        assert found == ["train", "-m", "a=1,2", "b=2"]

"""`convlab doctor` on what is really broken: files, processes, ports and rights as they go wrong."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from published import make_mirror

from convlab.base.addresses import without_passwords
from convlab.cli import main as cli
from convlab.cli.diagnosis import computing, machine, packages, published_files, repository, tracking_database
from convlab.cli.diagnosis.finding import Finding, Status
from convlab.tracking import store
from convlab.tracking.outbox import Outbox

ROOT = Path(__file__).parents[3]


def named(findings: list[Finding], name: str) -> Finding:
    [found] = [each for each in findings if each.name == name]
    return found


def test_a_project_without_a_fault(project: Path, convlab) -> None:
    rows = json.loads(convlab("doctor", "--json").stdout)
    found = {(row["subject"], row["name"]): row for row in rows}
    assert "problem" not in {row["status"] for row in rows}
    assert found["Python", "version"]["text"].startswith(f"Python {sys.version.split()[0]} ")
    assert "2.13.0" in found["Computing", "torch"]["text"]
    assert found["Data", "data and weights"]["text"].startswith("fetched: nothing; not yet: flowers, ")
    assert (
        found["MLflow", "database"]["text"] == f"{project}/mlflow.db: not there yet, the first run makes it"
    )
    assert found["Machine", "runs folder"]["text"] == f"{project}/runs: writable, made when it is needed"
    left = {path.name for path in project.iterdir()}
    assert left == {"conf", "data"}


def test_problems_are_told_with_their_way_out(project: Path) -> None:
    (project / "mlflow.db").write_bytes(b"no database" * 100)
    (project / "runs").mkdir(mode=0o555)
    command = [sys.executable, "-m", "convlab", "doctor"]
    if os.geteuid() == 0:  # the superuser may write anywhere, unless the right to is given up
        if shutil.which("setpriv") is None:
            pytest.skip("run as superuser, and there is no setpriv")
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    broken = os.environ | {"CONVLAB_MIRROR": f"{project}/mirror"}
    done = subprocess.run(command, env=broken, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for found, remedy in (
        (f"problem database {project}/mlflow.db: file is not a database", "→ restore a copy of it"),
        (f"problem mirror the mirror has no readable manifest: {project}/mirror/", "→ unset CONVLAB_MIRROR"),
        (f"problem runs folder {project}/runs: cannot write: Permission denied", f"→ make {project}/runs "),
    ):
        [place] = [k for k, line in enumerate(lines) if line.startswith(found)]
        assert lines[place + 1].startswith(remedy)
    assert lines[-1].startswith("3 problems, ")


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.delenv("CONVLAB_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(computing, "PACKAGES", {})  # this is not about runtimes,
    monkeypatch.setattr(
        computing, "TORCH", "import torch_of_another_age"
    )  # nor about torch, which takes long
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "problem  torch " in shown
    assert "ModuleNotFoundError: No module named 'torch_of_another_age'" in shown
    assert "problem  folder" in shown
    assert "→ Change into the project's folder, or set CONVLAB_PROJECT to it." in shown


# versions


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of pinned versions that convlab is taken to ship."""
    (tmp_path / "requirements").mkdir()
    monkeypatch.setattr(packages, "shipped", lambda name: tmp_path / name)
    return tmp_path / "requirements" / "all.txt"


def test_another_version_than_the_pinned_one(pins: Path) -> None:
    pins.write_text(
        "# pinned\nnumpy==1.0.0 \\\n    --hash=sha256:00\nPyYAML>=6 ; python_version > '3'\n"
        "not-installed==3\n"
    )
    found = named(packages.look(), "versions")
    assert found.status is Status.WARNING
    assert found.text.startswith("1 of 3 versions differ from those tested: numpy 2.")
    assert "(==1.0.0)" in found.text
    assert found.remedy == f"python {pins.with_name('install.py')}"


def test_a_build_of_the_pinned_version_is_that_version(pins: Path) -> None:
    pins.write_text("torch==2.13.0\n")
    assert named(packages.look(), "versions").status is Status.OK


def test_a_package_that_the_project_needs_is_missing(project: Path) -> None:
    needed = '[project]\nname = "convlab"\ndependencies = ["no-such-package-here", "numpy<2", "rich"]\n'
    (project / "pyproject.toml").write_text(needed)
    found = named(packages.look(), "requirements")
    assert found.status is Status.PROBLEM
    assert found.text.startswith("no-such-package-here is missing, numpy is 2.")


def test_a_projects_own_packages_are_none_of_convlabs(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "mine"\ndependencies = ["no-such-package"]\n')
    assert named(packages.look(), "requirements").status is Status.OK


def test_an_extra_may_be_missing_but_not_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["rich", "no-such-tracker; extra == 'track'", "rich; extra == 'train'", "numpy; extra == 'train'"]
    monkeypatch.setattr("convlab.cli.extras.requires", lambda _: lines)
    found = named(packages.look(), "extras")
    assert found.status is Status.OK
    assert found.text == "installed: train; not installed: track (pip install 'convlab[track]')"
    lines[3] = "numpy<2; extra == 'train'"
    found = named(packages.look(), "extras")
    assert found.status is Status.PROBLEM
    assert found.text.startswith("numpy is 2.")


def test_another_convlab_than_the_projects(project: Path) -> None:
    (project / "src" / "convlab").mkdir(parents=True)
    found = named(packages.look(), "convlab")
    assert found.status is Status.WARNING
    assert found.text.endswith(f"not {project}/src/convlab")


# what computes


def test_a_library_that_ends_its_process() -> None:
    trial = computing.Trial("import os, signal; print('{}', flush=True); os.kill(os.getpid(), signal.SIGILL)")
    assert trial.result() == ([{}], "ends its process with SIGILL")


def test_a_broken_torchvision_and_runtime_and_too_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, line in (
        ("torchvision", "raise OSError('libjpeg is missing')"),
        ("openvino", "import os; os.abort()"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(line)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(computing, "PACKAGES", {"openvino": "pip install 'convlab[openvino]'"})
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        findings = computing.look(computing.begin())
    finally:
        os.sched_setaffinity(0, allowed)
    assert named(findings, "torch").status is Status.OK
    if (os.cpu_count() or 1) > 1:
        threads = named(findings, "threads")
        assert (threads.status, threads.remedy) == (Status.WARNING, "export OMP_NUM_THREADS=1")
        assert threads.text.startswith("2 threads share 1 of ")
    torchvision, openvino = named(findings, "torchvision"), named(findings, "openvino")
    assert (torchvision.status, torchvision.text) == (Status.PROBLEM, "OSError: libjpeg is missing")
    assert (openvino.status, openvino.text) == (Status.PROBLEM, "ends its process with SIGABRT")


# git and DVC


def test_git_and_the_pipeline(project: Path) -> None:
    assert named(repository.look(project), "git").status is Status.WARNING
    assert named(repository.look(project), "DVC").text.startswith("no dvc.yaml")
    subprocess.run(["git", "init", "-q"], check=True)
    pipeline = "stages:\n  train:\n    foreach: {a: {}, b: {}}\n    do: {cmd: true}\n  compare: {cmd: true}\n"
    (project / "dvc.yaml").write_text(pipeline)
    assert named(repository.look(project), "DVC").remedy == "dvc init"
    (project / ".dvc").mkdir()
    lock = "schema: '2.0'\nstages:\n  train@a: {outs: [{path: gone}]}\n  compare: {outs: [{path: conf}]}\n"
    (project / "dvc.lock").write_text(lock)
    found = named(repository.look(project), "DVC")
    assert found.text == "2 of 3 stages have run, outputs are gone of train@a (`dvc repro` runs the rest)"
    (project / "dvc.lock").write_text("stages: [<<<<<<< HEAD")
    found = named(repository.look(project), "DVC")
    assert found.status is Status.PROBLEM
    assert found.remedy == "git diff dvc.yaml dvc.lock"


def test_this_projects_own_pipeline_is_read() -> None:
    found = named(repository.look(ROOT), "DVC")
    lock = (ROOT / "dvc.lock").read_text()
    num_locked = sum(line.startswith("  ") and line[2] != " " for line in lock.splitlines())
    assert (
        found.text.startswith(f"{num_locked} of {num_locked} stages have run") or not (ROOT / ".dvc").is_dir()
    )


# MLflow


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    store.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(fresh: Path, project: Path) -> Path:
    return shutil.copy(fresh, project / "mlflow.db")


def test_the_database_of_the_installed_mlflow(database: Path) -> None:
    [found] = tracking_database.look()
    assert (found.status, found.text) == (Status.OK, f"{database}: tables of MLflow 3.17.2")
    execute(database, "INSERT INTO runs (run_uuid) VALUES ('kept')")  # an empty one would be made anew
    revision = execute(database, "SELECT version_num FROM alembic_version")
    execute(database, "UPDATE alembic_version SET version_num = '451aebb31d03'")  # of 2019: metric step
    [found] = tracking_database.look()
    assert found.status is Status.PROBLEM
    assert f"(451aebb31d03, expected {revision})" in found.text
    assert f"mlflow db upgrade sqlite:///{database}" in found.remedy
    execute(database, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    [found] = tracking_database.look()
    assert "tables of a newer MLflow (ffffffffffff), installed is 3.17.2" in found.text
    execute(database, "DROP TABLE alembic_version")
    [found] = tracking_database.look()
    assert found.text == f"{database} is not an MLflow database"


def test_a_damaged_database(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)  # the header still says SQLite
    database.write_bytes(content)
    [found] = tracking_database.look()
    assert found.status is Status.PROBLEM
    assert "malformed" in found.text or "damaged" in found.text
    assert "mv mlflow.db mlflow.db.broken" in found.remedy


def execute(path: Path, statement: str) -> str | None:
    with sqlite3.connect(path) as connection:
        row = connection.execute(statement).fetchone()
    connection.close()
    return row and row[0]


@pytest.mark.parametrize(
    "uri", ["postgresql+psycopg://me:secret@127.0.0.1:9/runs", "http://me:secret@127.0.0.1:9"]
)
def test_nobody_answers_and_the_password_is_kept(uri: str, project: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    [found] = tracking_database.look()
    assert found.status is Status.PROBLEM
    assert "me:***@127.0.0.1:9" in found.text
    assert "refused" in found.text
    assert "secret" not in found.text + found.remedy


def test_what_waits_for_a_server(project: Path) -> None:
    Outbox(project / "runs" / "lenet").append({"do": "end", "to": "http://127.0.0.1:9"})
    found = named(tracking_database.look(), "unsent")
    assert found.status is Status.WARNING
    assert (found.text, found.remedy) == (
        "not told everything of lenet",
        "convlab sync, once the server answers",
    )


def test_an_address_that_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mlruns")
    [found] = tracking_database.look()
    assert found.status is Status.PROBLEM
    assert "MLFLOW_TRACKING_URI=mlruns is neither" in found.text


def test_passwords_are_blotted_out() -> None:
    text = without_passwords("at http://a:p@ss/w@host/x?token=abc&n=1 and sqlite:////b.db, postgres://c@d/e")
    assert text == "at http://a:***@host/x?token=***&n=1 and sqlite:////b.db, postgres://c@d/e"


# published files


def test_the_mirror(fetch_project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mirror"
    monkeypatch.setenv("CONVLAB_MIRROR", str(folder))
    found = named(published_files.look(), "mirror")
    assert found.status is Status.PROBLEM
    assert found.text == (
        f"the mirror has no readable manifest: {folder}/manifest.json: No such file or directory"
    )
    make_mirror(folder, {"photos.tgz": b"photos", "other": b"else"}, {"photos.tgz": "smaller"})
    found = named(published_files.look(), "mirror")
    assert found.status is Status.WARNING
    assert found.text.startswith(f"{folder}: 1 of 6 files, 1 of them a substitute for the published one; ")
    assert found.text.endswith("; lacks files of digits, weights")
    (folder / "photos.tgz").write_bytes(b"short")
    found = named(published_files.look(), "mirror")
    assert found.status is Status.PROBLEM
    assert found.text.endswith("missing or of another size: photos.tgz")
    (folder / "manifest.json").write_text("{")
    assert "is not a mirror's manifest" in named(published_files.look(), "mirror").text


def test_a_mirror_that_does_not_answer_is_asked_once(fetch_project, site, monkeypatch) -> None:
    monkeypatch.setenv("CONVLAB_MIRROR", site.url)
    found = named(published_files.look(), "mirror")
    assert found.status is Status.PROBLEM
    assert "404" in found.text
    assert len(site.log) == 1


def test_what_is_fetched_and_what_was_lost(fetch_project) -> None:
    assert cli.main(["fetch", "digits", "weights"]) == 0
    findings = published_files.look()
    assert named(findings, "data and weights").text == (
        "fetched: digits, weights; not yet: photos (`convlab fetch NAME`)"
    )
    (fetch_project.root / "made" / "weights" / "model.safetensors").unlink()
    found = named(published_files.look(), "weights")
    assert found.status is Status.PROBLEM
    assert found.text.endswith("1 of 1 files missing, model.safetensors for one")
    assert found.remedy == "convlab fetch weights"


# the machine


def test_a_state_folder_that_is_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "state").touch()
    monkeypatch.setenv("CONVLAB_STATE", str(project / "state" / "deep"))
    found = named(machine.look(), "state folder")
    assert (found.status, found.text) == (Status.PROBLEM, f"{project}/state is a file, no folder")


def test_a_port_in_use(project: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else's, which serves as well
            other.bind(("127.0.0.1", 8000))
        other.listen()
        found = named(machine.look(), "port 8000")
    assert found.status is Status.WARNING
    assert found.remedy == "convlab serve --port 8001"


def test_little_room(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_gb = shutil.disk_usage(project).free / 1e9
    monkeypatch.setattr(machine, "WARN_BELOW_GB", free_gb + 100)
    assert named(machine.look(), "space").status is Status.WARNING
    monkeypatch.setattr(machine, "PROBLEM_BELOW_GB", free_gb + 100)
    found = named(machine.look(), "space")
    assert found.status is Status.PROBLEM
    assert "the full run takes about 1 GB" in found.text

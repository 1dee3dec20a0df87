"""The services of a team: PostgreSQL, MLflow's server and DVC's remote with files in an object store."""

import csv
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import psutil
import psycopg
import pytest
import requests
from object_server import new_bucket, object_server
from postgresql_server import PASSWORD, postgresql_server
from serving import serving
from tracking_server import TrackingServer

from convlab.data.mnist import Mnist
from convlab.data.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]
ANN = "a-secret-of-ann"
SECRETS = (PASSWORD, ANN, "a-secret-of-the-store")
DIGITS = ["experiment=digits_fully_connected", "trainer.max_epochs=2", "evaluate=true"]
OWN_DVC = str(Path(sys.executable).with_name("dvc"))
DVC = os.environ.get("TESTS_DVC_S3") or (OWN_DVC if importlib.util.find_spec("dvc_s3") else None)
EIGHT = [f"of{number}" for number in range(8)]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Team:
    """The services, and what its people do with them. A command is told an address and credentials only."""

    def __init__(self, database: str, bucket: str, server: TrackingServer, folder: Path) -> None:
        self.database, self.bucket, self.server, self.folder = database, bucket, server, folder
        self.variables = {
            "MLFLOW_TRACKING_URI": server.url.replace("://", f"://ann:{ANN}@"),
            "CONVLAB_OPTUNA_STORAGE": database.replace("/postgres", "/optuna"),
        }

    def project(self, name: str) -> Path:
        """A person's own copy of the project."""
        project = self.folder / name
        project.mkdir()
        shutil.copytree(ROOT / "conf", project / "conf")
        (project / "data").symlink_to(ROOT / "assets" / "sample")
        return project

    def start(self, place: Path, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "convlab", *words],
            cwd=place,
            env=os.environ | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query).fetchall()

    def objects(self) -> list[str]:
        pages = boto3.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket.removeprefix("s3://"))
        return [each["Key"] for page in found for each in page.get("Contents", [])]


def said(process: "subprocess.Popen[str]") -> str:
    """What it printed, once it has ended well; no secret is part of it."""
    text, _ = process.communicate()
    assert process.returncode == 0, text
    assert not [secret for secret in SECRETS if secret in text]
    return text


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    with object_server() as variables, postgresql_server() as database:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE DATABASE optuna")
        bucket = new_bucket(variables)
        server = TrackingServer(folder, database.replace(f":{PASSWORD}@", "@"), bucket)
        with patch.dict(os.environ, PGPASSWORD=PASSWORD):
            server.start()
        try:
            yield Team(database, bucket, server, folder)
        finally:
            server.kill()
    assert not [secret for secret in SECRETS if secret in server.log.read_text()]
    for path in folder.rglob("*"):
        if path.is_file():
            assert not [secret for secret in SECRETS if secret.encode() in path.read_bytes()], path


def test_eight_trainings_at_once_into_postgresql(team: Team) -> None:
    people = {name: team.project(name) for name in EIGHT}
    started = [
        team.start(project, "train", *DIGITS, "model.hidden=8", f"name={name}", f"seed={seed}")
        for seed, (name, project) in enumerate(people.items())
    ]
    for process in started:
        said(process)
    assert team.rows("SELECT count(*) FROM experiments WHERE name = 'convlab'") == [(1,)]
    runs = dict(team.rows("SELECT name, run_uuid FROM runs WHERE status = 'FINISHED'"))
    assert sorted(runs) == EIGHT
    stored = team.objects()
    for name, project in people.items():
        run_dir = project / "runs" / name
        assert not (run_dir / "unsent.jsonl").exists()
        query = f"SELECT key, step, value FROM metrics WHERE run_uuid = '{runs[name]}'"
        found = {(key, step): value for key, step, value in team.rows(query)}
        with (run_dir / "history.csv").open() as file:
            epochs = list(csv.DictReader(file))
        # 1,000 images in batches of 32 are 32 steps per epoch; MLflow counts steps from 0
        expected = {
            (key, 32 * epoch - 1): float(row[key])
            for epoch, row in enumerate(epochs, 1)
            for key in ("train/loss", "train/acc", "val/loss", "val/acc")
        }
        assert len(expected) == 8
        test = json.loads((run_dir / "metrics.json").read_text())["test"]
        expected |= {(f"test/{key}", 0): test[key] for key in ("acc", "loss", "ece")}
        assert {key: found.get(key) for key in expected} == pytest.approx(expected, rel=1e-6)
        files = [key.partition("/artifacts/")[2] for key in stored if runs[name] in key]
        assert {"config.yaml", "history.csv", "metrics.json", "checkpoints/best.ckpt"} <= set(files)
    assert len([key for key in stored if key.endswith("/artifacts/data/raw.safetensors")]) == 8


def probabilities(classes: list[dict[str, Any]]) -> dict[str, float]:
    return {each["class"]: each["probability"] for each in classes}


def test_a_champion_predicts_and_is_served_without_a_project(team: Team, tmp_path: Path) -> None:
    project = team.project("maker")
    gate = project / "conf" / "gate.yaml"
    gate.write_text(gate.read_text().replace("max_latency_ms: 1000", "max_latency_ms: 100000"))
    said(team.start(project, "train", *DIGITS[::2], "name=best"))
    assert "convlab-digits, version 1 in MLflow" in said(team.start(project, "promote", "best"))
    digit = tmp_path / "digit.png"
    as_is = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(1,))
    Mnist(ROOT / "assets/sample/digits", as_is, 1).image("test", 0).save(digit)
    model = "models:/convlab-digits@champion"
    answer = json.loads(said(team.start(tmp_path, "predict", digit.name, "--model", model, "--json")))
    local = json.loads(said(team.start(project, "predict", str(digit), "--model", "best", "--json")))
    assert probabilities(answer[0]["classes"]) == pytest.approx(probabilities(local[0]["classes"]), abs=1e-4)
    with patch.dict(os.environ, team.variables), serving(tmp_path, "--model", model) as server:
        for path in ("/healthz", "/readyz"):
            assert requests.get(server.url + path, timeout=60).status_code == 200
        image = {"Content-Type": "image/png"}
        asked = requests.post(f"{server.url}/predict", digit.read_bytes(), headers=image, timeout=60)
    classes = asked.json()["classes"]
    assert probabilities(classes) == pytest.approx(probabilities(answer[0]["classes"]), abs=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digit.png"]


def test_a_study_in_the_same_server(team: Team) -> None:
    project = team.project("searcher")
    words = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "name=shared", "+search=median"]
    space = "+search.space.optimizer.lr={low: 0.001, high: 0.3, log: true}"
    said(team.start(project, "sweep", *words, space, "search.num_trials=2"))
    with psycopg.connect(team.variables["CONVLAB_OPTUNA_STORAGE"]) as connection:
        states = connection.execute("SELECT number, state FROM trials ORDER BY number").fetchall()
    assert states == [(0, "COMPLETE"), (1, "COMPLETE")]
    [(parent,)] = team.rows("SELECT run_uuid FROM runs WHERE name = 'sweep shared'")
    children = f"SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId' AND value = '{parent}'"
    assert team.rows(children) == [(2,)]


def test_the_interface_on_the_database_shows_no_password(team: Team, tmp_path: Path) -> None:
    project = team.project("reader")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "convlab", "ui", "--port", str(port)],
        cwd=project,
        env=os.environ | {"MLFLOW_TRACKING_URI": team.database},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            with suppress(requests.ConnectionError):
                assert requests.get(f"http://127.0.0.1:{port}/health", timeout=10).status_code == 200
                break
            time.sleep(0.2)
        processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        lines = [" ".join(each.cmdline()) for each in processes]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
    shown, _ = process.communicate()
    assert f"MLflow on {team.database.replace(PASSWORD, '***')}: http://127.0.0.1:{port}" in shown
    assert any("mlflow" in line for line in lines)
    assert not [text for text in (shown, *lines) for secret in SECRETS if secret in text]


@pytest.mark.skipif(
    DVC is None, reason="needs dvc-s3, or in TESTS_DVC_S3 the dvc of an environment that has it"
)
def test_dvc_keeps_data_in_the_same_store(team: Team, tmp_path: Path) -> None:
    people = {f"GIT_{who}_{what}": "ann" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | people
    address = environment.pop("AWS_ENDPOINT_URL")  # .dvc/config has it
    environment.pop("PYTHONPATH", None)  # of this environment

    def run(folder: Path, *words: str) -> None:
        command = [str(DVC), *words[1:]] if words[0] == "dvc" else [*words]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

    first = tmp_path / "first"
    photos = first / "datasets" / "photos"
    shutil.copytree(ROOT / "assets" / "sample" / "patches", photos)
    run(first, "git", "init", "--quiet")
    run(first, "dvc", "init", "--quiet")
    run(first, "dvc", "remote", "add", "--default", "store", f"{team.bucket}/dvc")
    run(first, "dvc", "remote", "modify", "store", "endpointurl", address)
    run(first, "dvc", "add", "datasets/photos")
    run(first, "dvc", "push")
    run(first, "git", "add", "--all")
    run(first, "git", "commit", "--quiet", "--message", "Add photos")
    assert not [secret for secret in SECRETS if secret in (first / ".dvc" / "config").read_text()]
    run(tmp_path, "git", "clone", "--quiet", "first", "second")
    run(tmp_path / "second", "dvc", "pull")
    contents = {path.relative_to(photos): path.read_bytes() for path in photos.rglob("*.*")}
    second = tmp_path / "second" / "datasets" / "photos"
    assert {path.relative_to(second): path.read_bytes() for path in second.rglob("*.*")} == contents
    # an object for each content, and the listing of the folder
    assert (
        len([key for key in team.objects() if key.startswith("dvc/files/md5/")])
        == len(set(contents.values())) + 1
    )

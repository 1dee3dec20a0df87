"""`engine=ray` ends as `engine=local` does, whatever happens to the cluster."""

import csv
import io
import os
import random
import shutil
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from object_server import new_bucket
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.base.object_store import ObjectStore
from convlab.cli.commands import features

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: make test-scale"),
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
    ),
]
ROOT = Path(__file__).parents[2]
RAY = ("engine=ray", "engine.block=50", "engine.num_cpus=1")
SET = ("data=photos", "data.dir=many", "backbone=resnet18_random", "backbone.runtime=torch", "batch_size=8")


@pytest.fixture(scope="module")
def cluster():
    """A head without a processor, so that every actor is on a node that can be taken away."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1)]
    ray.init(made.address, logging_level="error", log_to_driver=False)
    yield made, nodes
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """1,000 photos of 40x40 noise in two classes, and one file that is none."""
    folder = tmp_path_factory.mktemp("many")
    draw = np.random.default_rng(0)
    for i in range(1000):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    (folder / "a" / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def photos(project, many) -> Path:
    (project / "many").symlink_to(many)
    return project


def made(project: Path) -> dict[str, bytes]:
    folder = project / "features" / "many" / "resnet18_random"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def expected(many, tmp_path_factory) -> dict[str, bytes]:
    """What `engine=local` makes."""
    folder = tmp_path_factory.mktemp("local")
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "many").symlink_to(many)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_PROJECT", str(folder))
        assert features.run([*SET]) == 0
    return made(folder)


@pytest.mark.parametrize("place", ["folder", "store"])
def test_the_same_bytes_as_by_one_process(
    cluster, store_server, photos, expected, place, monkeypatch, capsys
):
    monkeypatch.setenv("CONVLAB_CACHE", "cache" if place == "folder" else new_bucket(store_server))
    assert features.run([*SET, *RAY]) == 0
    assert made(photos) == expected
    said = capsys.readouterr().out
    assert "engine: ray, 2 nodes" in said
    assert "1,000 photos: reused 0, computed 1,000, failed 1" in said
    assert features.run([*SET, *RAY]) == 0
    assert "1,000 photos: reused 1,000, computed 0, failed 1" in capsys.readouterr().out
    assert made(photos) == expected


def num_shards(bucket: str) -> int:
    return sum(entry.path.endswith(".safetensors") for entry in ObjectStore(bucket).entries())


def test_a_node_killed_ten_times(cluster, store_server, photos, expected, monkeypatch, capsys):
    """At a random moment after each sign of progress; another node comes in its place."""
    ray_cluster, nodes = cluster
    bucket = new_bucket(store_server)
    monkeypatch.setenv("CONVLAB_CACHE", bucket)
    random.seed(1)
    ended = []
    run = threading.Thread(target=lambda: ended.append(features.run([*SET, *RAY, "engine.block=10"])))
    run.start()
    killed: list[int] = []  # how many shards were there
    while run.is_alive() and len(killed) < 10:
        if (there := num_shards(bucket)) > (killed[-1] if killed else 0):
            time.sleep(random.uniform(0, 0.5))
            nodes.append(ray_cluster.add_node(num_cpus=1))  # in this thread: Ray sets signal handlers
            ray_cluster.remove_node(nodes.pop(0), allow_graceful=False)
            killed.append(there)
        time.sleep(0.1)
    run.join()
    assert ended == [0]
    assert made(photos) == expected
    assert len(killed) == 10
    # nothing is computed twice but what was in flight: a block at each kill
    rows = [
        len(safetensors.numpy.load(ObjectStore(bucket).get(entry.path))["keys"])
        for entry in ObjectStore(bucket).entries()
        if entry.path.endswith(".safetensors")
    ]
    computed = sum(number for number in rows if number <= 10)  # larger ones were joined from these
    assert 1000 <= computed <= 1000 + 10 * 10


def test_two_runs_at_once_on_overlapping_photos(cluster, store_server, photos, many, expected, monkeypatch):
    bucket = new_bucket(store_server)
    monkeypatch.setenv("CONVLAB_CACHE", bucket)
    for path in sorted(many.glob("*/*.png"))[::2]:
        half = photos / "half" / path.relative_to(many)
        half.parent.mkdir(parents=True, exist_ok=True)
        half.symlink_to(path)
    words = [word.replace("many", "half") for word in SET]
    ended: list[int] = []
    other = threading.Thread(target=lambda: ended.append(features.run([*words, *RAY])))
    other.start()
    assert features.run([*SET, *RAY]) == 0
    other.join()
    assert ended == [0]
    assert made(photos) == expected
    with (photos / "features/half/resnet18_random/index.csv").open(newline="") as file:
        hashes = [row["content_hash"] for row in csv.DictReader(file)]
    vectors = np.load(io.BytesIO(expected["vectors.npy"]))
    index = [line.split(b",")[0].decode() for line in expected["index.csv"].splitlines()[1:]]
    rows = [index.index(each) for each in hashes]
    assert len(rows) == 500
    assert np.array_equal(np.load(photos / "features/half/resnet18_random/vectors.npy"), vectors[rows])


def test_an_error_of_an_actor_is_told_as_by_one_process(cluster, photos, monkeypatch):
    monkeypatch.setenv("CONVLAB_CACHE", "cache")
    with pytest.raises(ConvlabError, match="timm has no model 'resnet18x'"):
        features.run([*SET, *RAY, "backbone.architecture=resnet18x", "backbone.weights=null"])


def test_a_pool_that_gets_no_processor_is_an_error_with_the_way_out(cluster, photos, monkeypatch):
    monkeypatch.setenv("CONVLAB_CACHE", "cache")
    with pytest.raises(ConvlabError, match=r"no photo came back within 5 s: 2 nodes, .* CPUs free.*num_cpus"):
        features.run([*SET, *RAY, "engine.num_cpus=64", "engine.stall_s=5"])


def test_an_address_without_a_cluster_is_named(photos, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConvlabError, match=r"no Ray cluster at 127.0.0.1:1:"):
        features.run([*SET, *RAY, "engine.address=127.0.0.1:1"])

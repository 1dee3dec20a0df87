"""`engine=ray` ends as `engine=local` does, whatever happens to the cluster."""

import os
import random
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from object_server import new_bucket, object_server
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.cli.commands import features

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: make test-scale"),
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
    ),
]
RAY = ("engine=ray", "engine.block=8", "engine.num_cpus=1")
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
    """400 photos of 40x40 noise in two classes, and one file that is none."""
    folder = tmp_path_factory.mktemp("many")
    draw = np.random.default_rng(0)
    for i in range(400):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    (folder / "a" / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def photos(project, many) -> Path:
    (project / "many").symlink_to(many)
    return project


@pytest.fixture(scope="module")
def server():
    with object_server() as variables:
        yield variables


def made(project: Path) -> dict[str, bytes]:
    folder = project / "features" / "many" / "resnet18_random"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def expected(photos, tmp_path, monkeypatch) -> dict[str, bytes]:
    """What `engine=local` makes, in a cache of its own."""
    monkeypatch.setenv("CONVLAB_CACHE", str(tmp_path / "local"))
    assert features.run([*SET]) == 0
    monkeypatch.delenv("CONVLAB_CACHE")
    return made(photos)


@pytest.mark.parametrize("place", ["folder", "store"])
def test_the_same_bytes_as_by_one_process(cluster, server, photos, expected, place, monkeypatch, capsys):
    monkeypatch.setenv("CONVLAB_CACHE", "cache" if place == "folder" else new_bucket(server))
    assert features.run([*SET, *RAY]) == 0
    assert made(photos) == expected
    said = capsys.readouterr().out
    assert "engine: ray, 2 nodes" in said
    assert "401 photos" not in said
    assert "400 photos: reused 0, computed 400, failed 1" in said
    assert features.run([*SET, *RAY]) == 0
    assert "400 photos: reused 400, computed 0, failed 1" in capsys.readouterr().out
    assert made(photos) == expected


def test_a_node_killed_ten_times(cluster, server, photos, expected, monkeypatch, capsys):
    ray_cluster, nodes = cluster
    monkeypatch.setenv("CONVLAB_CACHE", new_bucket(server))
    random.seed(1)
    killed, stop = [], threading.Event()

    def kill() -> None:
        while len(killed) < 10 and not stop.wait(random.uniform(1, 6)):
            nodes.append(ray_cluster.add_node(num_cpus=1))
            ray_cluster.remove_node(nodes.pop(0), allow_graceful=False)
            killed.append(time.time())

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(10):
            assert features.run([*SET, *RAY, "engine.block=4"]) == 0
            assert made(photos) == expected
            if len(killed) >= 10:
                break
            monkeypatch.setenv("CONVLAB_CACHE", new_bucket(server))
    finally:
        stop.set()
        killer.join()
    assert len(killed) >= 10


def test_two_runs_at_once_share_what_either_computes(cluster, server, photos, expected, monkeypatch):
    bucket = new_bucket(server)
    monkeypatch.setenv("CONVLAB_CACHE", bucket)
    other = threading.Thread(target=features.run, args=([*SET, *RAY, "dir=features/other"],))
    other.start()
    assert features.run([*SET, *RAY]) == 0
    other.join()
    assert made(photos) == expected


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

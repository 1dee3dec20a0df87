"""Every runtime against timm itself, with timm's smallest network."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx.numpy_helper
import pytest
import timm
import torch

from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.features.runtimes.check import Checked, relative_difference
from convlab.features.runtimes.choice import RUNTIMES, choose, make_runtime
from convlab.features.runtimes.onnx_export import exported, onnx_path
from convlab.features.runtimes.runtime import Runtime
from convlab.features.runtimes.work import Work

PREPROCESSING = Preprocessing(size=32, channels=3, pixel_mean=(128,), pixel_std=(64,))
PIXELS = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
COMPILER = shutil.which(os.environ.get("CXX", "g++"))
# Every layer counts: timm's default leaves the residual branches out until they are trained.
OPTIONS = {"zero_init_last": False, "stem_type": "", "avg_down": False}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state directory, and so one export, for all tests here."""
    directory = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_STATE", str(directory))
        yield directory


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture
def own_export(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the export that a test may damage."""
    path = exported(work())
    monkeypatch.setenv("CONVLAB_STATE", str(tmp_path))
    onnx_path(work()).parent.mkdir()
    return Path(shutil.copy(path, onnx_path(work())))


def work(num_images: int = 10) -> Work:
    return Work(Backbone("tiny", "test_resnet", None, 3, OPTIONS), PREPROCESSING, num_images, batch_size=4)


def expected() -> torch.Tensor:
    torch.manual_seed(3)
    model = timm.create_model("test_resnet", num_classes=0, **OPTIONS).eval()
    with torch.no_grad():
        return model((PIXELS.float() - 128) / 64)


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_a_runtime_gives_timms_vectors_for_batches_of_any_size(name, capsys):
    runtime = make_runtime(name, work())
    vectors = torch.cat([runtime(batch)() for batch in PIXELS.split(4)])
    assert (vectors.shape, vectors.dtype) == ((10, 96), torch.float32)
    assert relative_difference(vectors, expected()) < 1e-5
    assert capsys.readouterr().out == f"runtime: {name} (backbone.runtime={name})\n"


@pytest.mark.slow
@pytest.mark.skipif(not COMPILER, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch about itself
def test_compiling_happens_once_though_the_last_batch_is_smaller(capsys):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    runtime = make_runtime("compile", work())
    vectors = torch.cat([runtime(batch)() for batch in PIXELS.split(4)])
    assert capsys.readouterr().out == "runtime: compile (backbone.runtime=compile)\n"  # no warning
    assert relative_difference(vectors, expected()) < 1e-5
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert (
        torch._dynamo.utils.counters["inductor"]["binary_folding_conv"] > 0
    )  # batch norms are in the weights


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_vector_does_not_depend_on_the_other_images_of_its_batch(name):
    runtime = RUNTIMES[name](work())
    together = runtime(PIXELS)()
    assert torch.equal(torch.cat([runtime(PIXELS[i : i + 1])() for i in range(10)]), together)
    assert torch.equal(torch.cat([runtime(batch)() for batch in PIXELS.split(7)]), together)


def test_the_difference_is_relative_to_each_vectors_length():
    found = torch.tensor([[3.0, 4.0], [0.03, 0.0402]])
    assert relative_difference(found, torch.tensor([[3.0, 4.0], [0.03, 0.04]])) == pytest.approx(
        0.004, rel=1e-4
    )
    assert relative_difference(found, found * torch.nan) == float("inf")
    assert relative_difference(found, found[:, :1]) == float("inf")


@pytest.mark.parametrize(("factor", "trusted"), [(1 + 1e-5, True), (1.05, False)])
def test_vectors_that_differ_by_a_thousandth_are_not_kept(own_export, factor, trusted, capsys):
    """The export's largest weights are scaled, as a damaged or foreign file's would be."""
    model = onnx.load(own_export)
    largest = max(model.graph.initializer, key=lambda weights: len(weights.raw_data))
    scaled = onnx.numpy_helper.to_array(largest) * factor
    largest.CopyFrom(onnx.numpy_helper.from_array(scaled.astype("float32"), largest.name))
    onnx.save(model, own_export)
    plain = make_runtime("torch", work())(PIXELS)()
    runtime = make_runtime("onnxruntime", work())
    vectors = torch.cat([runtime(batch)() for batch in PIXELS.split(4)])
    assert relative_difference(vectors, plain) < 1e-3
    printed = capsys.readouterr().out
    if trusted:
        assert not torch.equal(vectors, plain)
        assert "warning" not in printed
    else:
        assert relative_difference(vectors, plain) < 1e-6
        assert "warning: runtime onnxruntime gives vectors that are 0." in printed
        assert "PyTorch on the CPU computes instead" in printed


def test_a_file_that_is_no_network_is_not_fatal(own_export, capsys):
    own_export.write_bytes(own_export.read_bytes()[:1000])
    assert torch.equal(make_runtime("onnxruntime", work())(PIXELS)(), make_runtime("torch", work())(PIXELS)())
    assert "warning: runtime onnxruntime can't run tiny" in capsys.readouterr().out


def test_a_runtime_that_breaks_down_is_not_fatal(capsys):
    def broken(pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel image")

    plain = make_runtime("torch", work())
    assert torch.equal(Checked(Runtime("compile", broken), plain)(PIXELS)(), plain(PIXELS)())
    assert "warning: runtime compile fails: no kernel image" in capsys.readouterr().out


@pytest.mark.usefixtures("state")
def test_the_export_is_made_once_for_one_network_and_preprocessing():
    path = exported(work())
    made = path.stat().st_mtime_ns
    assert exported(work(99)) == path
    assert path.stat().st_mtime_ns == made
    others = [
        Work(Backbone("tiny", "test_resnet", None, 4, OPTIONS), PREPROCESSING, 10, 4),
        Work(Backbone("tiny", "test_resnet", None, 3), PREPROCESSING, 10, 4),
        Work(work().backbone, Preprocessing(32, 3, (128,), (65,)), 10, 4),
    ]
    assert len({path, *map(onnx_path, others)}) == 4
    assert not list(path.parent.glob(".*"))


def resnet18(num_images: int) -> Work:
    preprocessing = Preprocessing(size=64, channels=3, pixel_mean=(128,), pixel_std=(4,))
    return Work(Backbone("random", "resnet18"), preprocessing, num_images, batch_size=32)


def test_the_work_is_counted_as_by_hand():
    """ResNet-18 at 64x64: multiply-adds of the stem, of the first stage, of three with a 1x1 shortcut."""
    stem = 32 * 32 * 64 * (3 * 7 * 7)
    first = 4 * 16 * 16 * 64 * (64 * 9)
    others = [
        side**2 * maps * (maps // 2 * 9 + 3 * maps * 9 + maps // 2)
        for side, maps in ((8, 128), (4, 256), (2, 512))
    ]
    assert resnet18(10).flop == 10 * 2 * (stem + first + sum(others)) == 2_960_916_480


def test_auto_takes_torch_for_little_work_and_onnxruntime_for_much():
    """0.296 GFLOP an image: 3,377 images are just under 1e12."""
    assert choose(resnet18(3377)) == (
        "torch",
        "auto: 3,377 images are 1,000 GFLOP, done before a faster runtime had started",
    )
    assert choose(resnet18(3378)) == ("onnxruntime", "auto: 3,378 images are 1,000 GFLOP, worth its start")


def test_auto_takes_torch_on_a_gpu_for_any_work(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose(resnet18(10**9)) == ("torch", "auto: on the GPU")


CHOICE = """
import sys
from convlab.features.backbone import Backbone
from convlab.features.runtimes.choice import make_runtime, choose
from convlab.features.runtimes.work import Work
from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing
work = Work(Backbone("tiny", "test_resnet"), Preprocessing(32, 3, (128,), (64,)), 10**6, 4)
for name in ("onnxruntime", "openvino"):
    sys.modules[name] = None  # importing it fails, as if it were not installed
    print(*choose(work))
    try:
        make_runtime(name, work)
    except ConvlabError as error:
        print(error)
"""


def test_a_missing_package_is_named_with_the_way_out_and_auto_does_without():
    done = subprocess.run(
        [sys.executable, "-c", CHOICE],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    without_onnxruntime, first_error, without_both, second_error = done.stdout.splitlines()
    assert without_onnxruntime.startswith("openvino auto: ")
    assert first_error.startswith(
        "backbone.runtime=onnxruntime needs the package onnxruntime, which is not inst"
    )
    assert (
        without_both == "torch auto: neither onnxruntime nor openvino is installed, each about twice as fast"
    )
    assert "pip install 'convlab[openvino]'" in second_error


def test_an_unknown_runtime_is_named():
    with pytest.raises(
        ConvlabError, match=r"runtime=tpu is not known. There is: auto, torch, compile, onnxruntime, openvino"
    ):
        make_runtime("tpu", work())


def test_a_runtime_starts_at_once_and_keeps_the_images_in_order():
    """The first image is computed last: it waits for the others, which so must run beside it."""
    later = [threading.Event() for _ in range(5)]

    def forward(pixels: torch.Tensor) -> torch.Tensor:
        number = int(pixels[0, 0, 0, 0])
        if number == 0:
            assert all(event.wait(20) for event in later[1:])
        later[number].set()
        return torch.full((len(pixels), 2), float(number))

    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1)
    vectors = Runtime("test", forward, num_threads=2)(images)
    assert all(event.wait(20) for event in later)  # nobody has asked for a result yet
    assert vectors()[:, 0].tolist() == [0, 1, 2, 3, 4]

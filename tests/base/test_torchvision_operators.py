"""torchvision imports beside any torch, and nothing is declared where its own operators load."""

import subprocess
import sys

import pytest


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "package",
    ["timm", "torchvision", "torchmetrics"],
)
@pytest.mark.slow
def test_imports_after_convlab_in_whatever_order(package):
    code = f"import torch, convlab, {package}, torchvision; print(torchvision.__name__)"
    assert run(code) == ["torchvision"]


def test_importing_convlab_does_not_import_torch():
    assert run("import sys, convlab; print('torch' in sys.modules, 'torchvision' in sys.modules)") == [
        "False",
        "False",
    ]


def test_transforms_work():
    code = (
        "import convlab, torch; from torchvision.transforms.v2 import functional as F\n"
        "print(F.center_crop(torch.arange(16).view(1, 4, 4), [2, 2]).flatten().tolist())"
    )
    assert "".join(run(code)) == "[5,6,9,10]"


def test_nothing_is_declared_where_the_compiled_operators_load(tmp_path):
    """A compiled library that loads (any shared object will do) means that there is nothing to mend."""
    code = (
        "import shutil, sys, _ctypes, torch; from pathlib import Path\n"
        "from convlab import torchvision_operators as o\n"
        f"shutil.copy(_ctypes.__file__, Path({str(tmp_path)!r}) / '_C.so')\n"
        f"print(o.declare_if_missing(Path({str(tmp_path)!r})))\n"
        "print(hasattr(torch.ops.torchvision, 'nms'))"
    )
    assert run(code) == ["False", "False"]


def test_the_schemas_are_declared_where_it_does_not_load(tmp_path):
    (tmp_path / "_C.so").write_bytes(b"not a library")
    code = (
        "import torch; from pathlib import Path\n"
        "from convlab import torchvision_operators as o\n"
        f"print(o.declare_if_missing(Path({str(tmp_path)!r})))\n"
        "print(torch.ops.torchvision.nms.default._schema.name)"
    )
    assert run(code) == ["True", "torchvision::nms"]

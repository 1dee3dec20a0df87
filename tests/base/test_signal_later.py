"""scipy.signal is there for whoever uses it, and not before."""

import subprocess
import sys

import pytest

BEGIN = "import convlab, sys; real = lambda: 'scipy.signal._signaltools' in sys.modules\n"


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_torchmetrics_does_without():
    assert run("import torchmetrics; print(real())") == ["False"]


@pytest.mark.parametrize(
    "use",
    [
        "import scipy.signal; print(scipy.signal.convolve([1, 2], [1, 1]).tolist()[1])",
        "from scipy.signal import convolve; print(convolve([1, 2], [1, 1]).tolist()[1])",
        "from scipy.signal.windows import hamming; print(round(hamming(3)[1] * 3))",
        "import scipy; print(round(scipy.signal.hamming(3)[1] * 3))",
        "import scipy; print(scipy.signal.convolve([1, 2], [1, 1]).tolist()[1])",
    ],
)
def test_who_uses_it_has_it(use):
    assert run(f"{use}; print(real())") == ["3", "True"]


def test_what_is_imported_before_stays():
    code = "import scipy.signal as s; import sys; import convlab; print(sys.modules['scipy.signal'] is s)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]

"""`convlab size`: its numbers by hand and against torch, its refusals, and what the tutorial prints of it."""

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from convlab.arithmetic.tiling import Tiling, tiling
from convlab.base.errors import ConvlabError
from convlab.cli.commands.size import run

ROOT = Path(__file__).parents[3]


def printed(capsys, *words: str) -> str:
    assert run(list(words)) == 0
    return capsys.readouterr().out


def answer(capsys, *words: str) -> dict[tuple[str, str | None], dict]:
    """Numbers by padding and rounding."""
    lines = json.loads(printed(capsys, *words, "--json"))["lines"]
    return {(line["padding"], line["rounding"]): line["numbers"] for line in lines}


class TestTiling:
    def test_by_hand(self):
        assert tiling(13, 6, 5, "VALID") == Tiling(2, 0, 0, (11, 12))
        assert tiling(13, 6, 5, "SAME") == Tiling(3, 1, 2, ())
        assert tiling(7, 3, 3, 0, rounding="ceil") == Tiling(3, 0, 2, ())  # the third covers 6, 7 and 8
        assert tiling(7, 2, 3) == Tiling(2, 0, 0, (2, 5, 6))  # a stride that jumps over pixels
        assert tiling(5, 2, 4, 0, dilation=4) == Tiling(1, 0, 0, (1, 2, 3))  # taps 0 and 4

    def test_unseen_pixels_are_those_without_a_gradient(self):
        draw = random.Random(0)
        found = 0
        for _ in range(200):
            size, kernel, stride = draw.randint(4, 20), draw.randint(1, 4), draw.randint(1, 6)
            padding, dilation = draw.randint(0, 2), draw.randint(1, 3)
            conv = nn.Conv1d(1, 1, kernel, stride, padding, dilation, bias=False)
            nn.init.ones_(conv.weight)
            image = torch.zeros(1, 1, size, requires_grad=True)
            try:
                tiles = tiling(size, kernel, stride, padding, dilation)
            except ConvlabError:
                continue
            conv(image).sum().backward()
            assert list(tiles.unseen) == (image.grad[0, 0] == 0).nonzero().flatten().tolist()
            found += bool(tiles.unseen)
        assert found > 20


class TestForward:
    def test_seven_pixels_by_hand(self, capsys):
        found = answer(capsys, "image=7", "kernel=3", "stride=3")
        assert {key: numbers.get("output") for key, numbers in found.items()} == {
            ("VALID", None): [2],
            ("SAME", None): [3],
            ("P = 0", "floor"): [2],
            ("P = 0", "ceil"): [3],
            ("P = 0", "exact"): None,  # 2.33
        }
        assert found["VALID", None] == {
            "output": [2],
            "zeros_before": [0],
            "zeros_after": [0],
            "unseen": [1],
        }

    def test_same_pads_more_after(self, capsys):
        same = answer(capsys, "image=13", "kernel=6", "stride=5")["SAME", None]
        assert (same["zeros_before"], same["zeros_after"], same["unseen"]) == ([1], [2], [0])

    def test_a_number_as_padding(self, capsys):
        found = answer(capsys, "image=32x32x3", "kernel=5", "padding=2")
        assert found["P = 2", "floor"]["output"] == [32, 32]
        assert found["VALID", None]["output"] == [28, 28]

    def test_heights_and_widths_for_themselves(self, capsys):
        found = answer(capsys, "image=17x9", "kernel=1x7", "stride=2x1", "padding=0x3", "dilation=1")
        assert found["P = 0x3", "floor"]["output"] == [9, 9]  # (17 - 1) / 2 + 1; 9 - 7 + 6 + 1
        assert found["VALID", None]["output"] == [9, 3]

    def test_dilation(self, capsys):
        # a span of 9; ceil(10 / 1) with 8 zeros
        found = answer(capsys, "image=10", "kernel=3", "dilation=4")
        assert found["VALID", None]["output"] == [2]
        assert found["SAME", None] == {
            "output": [10],
            "zeros_before": [4],
            "zeros_after": [4],
            "unseen": [0],
        }

    def test_maps_add_what_a_convolution_costs(self, capsys):
        found = answer(capsys, "image=5x5x3", "kernel=3", "maps=16", "padding=same")
        assert found == {
            ("SAME", None): {
                "output": [5, 5, 16],
                "zeros_before": [1, 1],
                "zeros_after": [1, 1],
                "unseen": [0, 0],
                "parameters": 16 * (27 + 1),
                "connections": 16 * 28 * 25,
                "multiply_adds": 16 * 27 * 25,
            }
        }
        lenet = answer(capsys, "image=28x28x1", "kernel=5", "maps=32")
        assert ("P = 0", "ceil") not in lenet  # no convolution rounds up
        assert lenet["SAME", None]["multiply_adds"] == 32 * 25 * 28 * 28

    def test_refused_lines_say_why(self, capsys):
        text = printed(capsys, "image=4", "kernel=7")
        assert "VALID: a window of 7 does not fit into 4 pixels" in text
        assert text.splitlines()[3].split() == ["VALID", "TensorFlow", "refused"]
        assert text.splitlines()[4].split() == ["SAME", "TensorFlow", "4", "3", "3", "0"]
        # a convolution may pad more than half its kernel, pooling may not
        found = answer(capsys, "image=9", "kernel=3", "padding=2")
        assert found["P = 2", "floor"]["output"] == [11]
        assert found["P = 2", "ceil"] == {}

    def test_what_comes_next_is_said(self, capsys):
        text = printed(capsys, "image=32x32x3", "kernel=5", "maps=16")
        assert "Each of the 16 filters: 5x5x3 = 75 weights and 1 bias." in text
        assert "P = 2 keeps the size at stride 1." in text
        assert "keeps" not in printed(capsys, "image=8", "kernel=4")


class TestTransposed:
    def test_by_hand(self, capsys):
        found = answer(capsys, "image=4", "kernel=3", "stride=2", "padding=1", "--transposed")
        assert {padding: numbers for (padding, _), numbers in found.items()} == {
            "VALID": {"output": [9], "possible": [[9, 10]]},
            "SAME": {"output": [8], "possible": [[7, 8]]},
            "P = 1, output_padding = 0": {"output": [7], "possible": [[7, 8]]},
        }
        text = printed(capsys, "image=4x5", "kernel=2", "stride=2", "padding=VALID", "--transposed")
        assert text.splitlines()[3].strip().split(maxsplit=3) == [
            "VALID",
            "TensorFlow",
            "8x10",
            "(8 to 9)x(10 to 11)",
        ]

    def test_output_padding_chooses_among_the_possible(self, capsys):
        words = ("image=4", "kernel=3", "stride=2", "padding=1", "--transposed")
        chosen = answer(capsys, *words, "output_padding=1")["P = 1, output_padding = 1", None]
        assert chosen == {"output": [8], "possible": [[7, 8]]}

    def test_possible_sizes_are_those_that_torch_makes(self, capsys):
        words = ("image=5", "kernel=4", "stride=3", "padding=1", "dilation=2", "--transposed")
        (first, last) = answer(capsys, *words)["P = 1, output_padding = 0", None]["possible"][0]
        made = [
            nn.ConvTranspose1d(1, 1, 4, 3, 1, extra, dilation=2)(torch.zeros(1, 1, 5)).shape[-1]
            for extra in range(3)
        ]
        assert list(range(first, last + 1)) == made


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "image= is missing"),
        (["image=7"], "kernel= is missing"),
        (["image=7", "kernal=3"], "'kernal=3' says nothing. Did you mean 'kernel='?"),
        (["image=7", "3"], "'3' says nothing. Known: image"),
        (["image=7,7", "kernel=3"], "image=7,7: expected whole numbers such as image=5 or image=5x7"),
        (["image=1x2x3x4", "kernel=3"], "image=1x2x3x4: expected pixels"),
        (["image=7", "kernel=3x3"], "kernel=3x3: expected one number"),
        (["image=7", "kernel=3", "padding=half"], "padding=half: expected whole numbers"),
        (["image=4", "kernel=7", "padding=1"], "7 does not fit into 4 pixels with padding 1"),
        (["image=4", "kernel=7", "padding=valid"], "with padding VALID. Choose a smaller kernel, SAME"),
        (["image=7", "kernel=3", "stride=0"], "stride is 0; it must be 1 or more"),
        (["image=7", "kernel=3", "maps=2"], "maps=2 goes with a convolution of an image with channels"),
        (["image=7x7x1", "kernel=3", "maps=2", "--transposed"], "not with --transposed"),
        (["image=7x7x1", "kernel=3", "maps=0"], "maps=0, image=7x7x1: no channels"),
        (["image=7", "kernel=3", "output_padding=1"], "output_padding=1 goes with --transposed"),
        (
            ["image=4", "kernel=3", "padding=0", "output_padding=1", "--transposed"],
            "output_padding from 0 to 0",
        ),
        (["image=1", "kernel=3", "stride=2", "padding=2", "--transposed"], "Lower the padding 2"),
        (["image=7", "kernel=3", "--jsn"], "unrecognized arguments: --jsn"),
    ],
)
def test_mistakes_are_explained(words, message):
    with pytest.raises(ConvlabError) as error:
        run(words)
    assert message in str(error.value)


def test_takes_a_moment_and_no_torch():
    program = (
        "import sys; from convlab.cli.main import main\n"
        "status = main(['size', 'image=7', 'kernel=3', '--json']);"
        "sys.exit('torch was imported' if 'torch' in sys.modules else status)"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.8  # of processor time: the machine may be busy with something else

"""LeNet-5 of 1998 against the paper's numbers, hand-worked ones and plain loops."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing
from convlab.models import saved
from convlab.models.connection_table import C3_TABLE
from convlab.models.digit_bitmaps import DIGIT_CODES, HEIGHT, WIDTH
from convlab.models.lenet5_1998 import LeNet5As1998, RadialBasis, ScaledTanh, Subsampling, TableConv2d
from convlab.models.map_criterion import MAPCriterion
from convlab.training.evaluation import evaluate
from convlab.training.train import train

# Table I: a row for each map of S2, a column for each of C3.
TABLE_I = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""
# Figure 3: a digit a line, two hexadecimal digits a row, the leftmost dot the highest of seven bits.
FIGURE_3 = """
3e001c3663636363361c0000
0c1c3c0c0c0c0c0c0c3f0000
3e003e6343061c30607f0000
7f03060c1e030303633e0000
3e00003333736363673f0303
3e007f60603c1e03633e0000
1e3060607e736363733e0000
7f0303060c0c181818180000
3e6363633e636363633e0000
3e676363673f0303063c0000
"""


@pytest.fixture
def network():
    torch.manual_seed(0)
    return LeNet5As1998()


def test_parameters_layer_by_layer(network):
    counts = {name: sum(p.numel() for p in layer.parameters()) for name, layer in network.named_children()}
    assert {name: count for name, count in counts.items() if count} == {
        "c1": (25 + 1) * 6,
        "s2": 2 * 6,
        "c3": 60 * 25 + 16,
        "s4": 2 * 16,
        "c5": (400 + 1) * 120,
        "f6": (120 + 1) * 84,
    }
    assert sum(counts.values()) == 60_000


def test_the_connection_table_is_the_paper_s():
    printed = [line.split() for line in TABLE_I.split("\n") if line]
    assert [[("X" if row in reads else ".") for reads in C3_TABLE] for row in range(6)] == printed
    assert [len(reads) for reads in C3_TABLE] == [3] * 6 + [4] * 9 + [6]


def test_the_bitmaps_are_the_figure_s():
    printed = [bytes.fromhex(line) for line in FIGURE_3.split("\n") if line]
    dots = np.unpackbits(np.array([list(digit) for digit in printed], dtype=np.uint8)[..., None], axis=2)
    np.testing.assert_array_equal(
        np.reshape(DIGIT_CODES, (10, HEIGHT, WIDTH)), np.where(dots[..., 1:] == 1, 1, -1)
    )


def test_scaled_tanh():
    values = ScaledTanh()(torch.tensor([0.0, 1.0, -1.0, 1.5], dtype=torch.float64))
    # tanh(2/3) = 0.582783, tanh(1) = 0.761594
    torch.testing.assert_close(
        values, torch.tensor([0.0, 1.0, -1.0, 1.306819], dtype=torch.float64), atol=1e-5, rtol=0
    )


def test_subsampling_sums_scales_and_shifts_each_map():
    layer = Subsampling(2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([0.5, -1.0]))
        layer.bias.copy_(torch.tensor([0.25, 3.0]))
    rows = torch.tensor([[1.0, 2, 0, 0], [3, 4, 0, 8]])
    # sums 10 and 8
    assert layer(torch.stack([rows, rows])[None]).tolist() == [[[[5.25, 4.25]], [[-7.0, -5.0]]]]


def test_table_convolution_reads_what_the_table_says():
    layer = TableConv2d(3, ((0, 2), (1,)), kernel_size=1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, 3.0, 5.0]).view(3, 1, 1))
        layer.bias.copy_(torch.tensor([0.5, 0.25]))
    pixel = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)
    assert layer(pixel).flatten().tolist() == [2 + 300 + 0.5, 50.25]


@pytest.mark.parametrize("reads", [(), (0, 0), (1, 3), (-1,)])
def test_a_table_that_cannot_be_is_refused(reads):
    with pytest.raises(ConvlabError, match=r"is not a selection of the maps 0 to 2"):
        TableConv2d(3, ((0,), reads), kernel_size=5)


def test_radial_basis_is_minus_the_squared_distance():
    layer = RadialBasis(((1, -1), (-1, -1)))
    assert layer(torch.tensor([[0.5, -1.0], [0.0, 1.0]])).tolist() == [[-0.25, -2.25], [-5.0, -5.0]]
    codes = torch.tensor(DIGIT_CODES, dtype=torch.float32)
    logits = RadialBasis(DIGIT_CODES)(codes)
    assert logits.diagonal().tolist() == [0] * 10
    assert logits.argmax(1).tolist() == list(range(10))
    # each dot that differs adds (1 - -1)^2; 6 and 8 are the most alike: 1 + 4 + 2 + 2 + 1 + 1 + 1 dots apart
    assert logits.fill_diagonal_(-999).max() == -4 * 12 == logits[6, 8]


def conv_by_loops(maps: np.ndarray, kernels: list[np.ndarray], table, bias: np.ndarray) -> np.ndarray:
    """VALID cross-correlation, one kernel a connection, written out."""
    side = maps.shape[1] - 4
    out = np.zeros((len(table), side, side))
    remaining = iter(kernels)
    for o, reads in enumerate(table):
        out[o] += bias[o]
        for read in reads:
            kernel = next(remaining)
            for y in range(side):
                for x in range(side):
                    out[o, y, x] += (maps[read, y : y + 5, x : x + 5] * kernel).sum()
    return out


def test_the_network_is_what_its_layers_say(network):
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}
    image = torch.randn(1, 32, 32, dtype=torch.float64)

    def squash(values):
        return 1.7159 * np.tanh(2 * values / 3)

    def conv(name, maps, table):
        kernels = w[f"{name}.weight"].reshape(-1, 5, 5)
        return squash(conv_by_loops(maps, list(kernels), table, w[f"{name}.bias"]))

    def subsample(name, maps):
        sums = maps[:, ::2, ::2] + maps[:, ::2, 1::2] + maps[:, 1::2, ::2] + maps[:, 1::2, 1::2]
        return squash(sums * w[f"{name}.coefficient"][:, None, None] + w[f"{name}.bias"][:, None, None])

    s2 = subsample("s2", conv("c1", image.numpy(), [(0,)] * 6))
    s4 = subsample("s4", conv("c3", s2, C3_TABLE))
    c5 = conv("c5", s4, [range(16)] * 120).reshape(120)
    f6 = squash(w["f6.weight"] @ c5 + w["f6.bias"])
    distances = [sum((f6[j] - code[j]) ** 2 for j in range(84)) for code in DIGIT_CODES]
    found = network.double()(image[None])[0].detach().numpy()
    np.testing.assert_allclose(found, -np.array(distances), rtol=1e-10)


def test_weights_start_uniformly_by_fan_in(network):
    c3_fans = [25 * len(reads) for reads in C3_TABLE for _ in reads]
    fans = {"c1": 25, "s2": 4, "s4": 4, "c5": 400, "f6": 120}
    groups = {name: (list(getattr(network, name).parameters()), fan) for name, fan in fans.items()}
    for fan in (75, 100, 150):
        kernels = network.c3.weight[[found == fan for found in c3_fans]]
        groups[f"c3 {fan}"] = ([kernels], fan)
    for name, (parameters, fan) in groups.items():
        values = torch.cat([parameter.flatten() for parameter in parameters]) * fan / 2.4
        # uniform in [-1, 1]: mean 0, mean square 1/3, five standard errors; its edge is nearly reached
        count = len(values)
        assert 1 - 15 / count < values.abs().max() <= 1, name
        assert abs(values.mean()) < 5 / math.sqrt(3 * count), name
        assert abs(values.square().mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / count), name
    biases = network.c3.bias * torch.tensor([25 * len(reads) for reads in C3_TABLE]) / 2.4
    assert 0.7 < biases.abs().max() <= 1


def test_the_gradient_reaches_every_parameter(network):
    torch.manual_seed(1)
    logits = network(torch.randn(20, 1, 32, 32))
    MAPCriterion(j=1.0)(logits, torch.arange(20) % 10).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().min() > 0, name
    assert not network.output.codes.requires_grad


class TestMAPCriterion:
    def test_by_hand(self):
        logits = -torch.tensor([[1.0, 2, 4], [3, 0.5, 6]], dtype=torch.float64)
        first = 2 + math.log(math.exp(-3) + math.exp(-1) + math.exp(-2) + math.exp(-4))
        second = 6 + math.log(math.exp(-3) + math.exp(-3) + math.exp(-0.5) + math.exp(-6))
        found = MAPCriterion(j=3)(logits, torch.tensor([1, 2]))
        assert found.item() == pytest.approx((first + second) / 2, abs=1e-12)

    def test_is_cross_entropy_with_one_more_class(self):
        torch.manual_seed(0)
        logits, labels = torch.randn(8, 10), torch.arange(8)
        widened = torch.cat([logits, torch.full((8, 1), -1.5)], 1)
        torch.testing.assert_close(
            MAPCriterion(j=1.5)(logits, labels), nn.functional.cross_entropy(widened, labels)
        )

    def test_pushes_a_wrong_class_away_up_to_j(self):
        """d E / d y_i = -exp(-y_i) / (exp(-j) + sum), and 1 more for the right class."""
        distances = torch.tensor([[0.0, 1.0, 30.0]], dtype=torch.float64, requires_grad=True)
        MAPCriterion(j=2.0)(-distances, torch.tensor([0])).backward()
        whole = 1 + math.exp(-1) + math.exp(-2)  # exp(-30) is 1e-13
        expected = [1 - 1 / whole, -math.exp(-1) / whole, 0]
        assert distances.grad[0].tolist() == pytest.approx(expected, abs=1e-12)

    def test_far_from_every_code_it_pulls_and_does_not_overflow(self):
        loss = MAPCriterion(j=1.0)(torch.full((1, 10), -1e4), torch.tensor([3]))
        assert loss.item() == pytest.approx(1e4 - 1)

    @pytest.mark.parametrize("j", [0, -1.0, math.inf, math.nan])
    def test_a_constant_not_above_zero_is_refused(self, j):
        with pytest.raises(ConvlabError, match=rf"loss\.j={j}"):
            MAPCriterion(j)


def test_white_is_minus_a_tenth_and_black_1_175(project):
    settings = config.plain(config.compose("train", ["experiment=lenet5_1998"]))
    values = settings["data"]["module"]["preprocessing"]
    values.pop("_target_")
    preprocessing = Preprocessing.from_dict(values)
    pixels = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    pixels[0, 0, 0, 0] = 255
    made = preprocessing.normalize(pixels)
    assert made.shape == (1, 1, 32, 32)
    assert made[0, 0, 2, 2].item() == pytest.approx(1.175)
    assert made.sum().item() == pytest.approx(1.175 - 0.1 * 1023, rel=1e-5)
    assert settings["loss"] == {"_target_": "convlab.models.map_criterion.MAPCriterion", "j": 1.0}


def test_learns_is_saved_and_read_back(project):
    words = ["experiment=lenet5_1998", "data=digits", "data.module.num_val=297", "logger=none"]
    settings = config.plain(
        config.compose("train", [*words, "batch_size=32", "optimizer.lr=0.003", "trainer.max_epochs=8"])
    )
    run_dir = project / "runs" / "then"
    train(settings, run_dir)
    evaluate(run_dir)
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["num_parameters"] == 60_000
    assert metrics["test"]["acc"] > 0.93
    network = saved.load(run_dir / "model")
    torch.testing.assert_close(network.output.codes, torch.tensor(DIGIT_CODES, dtype=torch.float32))
    (weights,) = (run_dir / "model").glob("*.safetensors")
    assert sum(value.numel() for value in load_file(weights).values()) == 60_000  # the codes are not in it

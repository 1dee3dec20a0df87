"""Convolution, pooling and the ways back: by hand, against TensorFlow's own results, against autograd."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from convlab.arithmetic.network import rows
from convlab.arithmetic.sizes import transposed_sizes
from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet import tensorflow_operators as tf
from convlab.explain.deconvnet.projection import activations, crop, project
from convlab.explain.deconvnet.transposed import conv2d_transpose, flip, stuff_zeros
from convlab.explain.deconvnet.unpooling import avg_pool, avg_unpool, max_pool, max_unpool, real_pixels
from convlab.explain.deconvnet.windows import Windows
from convlab.models.describe import network_of
from convlab.models.lenet import LeNet, LeNet5

NUM_RANDOM = 100
GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "tensorflow.npz")
CASES = list(enumerate(json.loads(str(GOLDEN["cases"]))))
COURSE_FILTER = torch.tensor([[1.0, 0.0], [-1.0, -2.0]]).reshape(2, 2, 1, 1)


def image(values: list) -> torch.Tensor:
    """Rows of numbers as 1 1 h w."""
    return torch.tensor(values, dtype=torch.float32)[None, None]


def nhwc(values: list) -> torch.Tensor:
    return image(values).permute(0, 2, 3, 1)


def grid(value: torch.Tensor) -> list:
    """The one map of 1 1 h w, or of 1 h w 1, as rows of numbers."""
    return value.squeeze((0, 1, -1) if value.shape[-1] == 1 else (0, 1)).tolist()


def golden(operation: str) -> list:
    return [
        pytest.param(index, case, id=f"{case['kernel']} {case['strides']} {case['padding']}")
        for index, case in CASES
        if case["operation"] == operation
    ]


def arrays(index: int, *names: str) -> list[torch.Tensor]:
    return [torch.from_numpy(GOLDEN[f"{index}/{name}"]) for name in names]


def random_windows(seed: int) -> list[Windows]:
    """Kernels of 1 to 4, strides of 1 to 3, SAME, VALID or padded, the rounding either way."""
    draw, made = random.Random(seed), []
    while len(made) < NUM_RANDOM:
        size, kernel, stride = [
            (draw.randint(*ends), draw.randint(*ends)) for ends in ((1, 9), (1, 4), (1, 3))
        ]
        half = (draw.randint(0, kernel[0] // 2), draw.randint(0, kernel[1] // 2))
        padding, rounding = draw.choice(["SAME", "VALID", half]), draw.choice(["floor", "ceil"])
        try:
            made.append(Windows.over(size, kernel, stride, padding, rounding=rounding))
        except ConvlabError:
            continue
    return made


class TestAgainstTensorflow:
    @pytest.mark.parametrize(("index", "case"), golden("convolution"))
    def test_convolution(self, index, case):
        value, filter, result, cotangent, back = arrays(
            index, "value", "filter", "conv2d", "cotangent", "transposed"
        )
        assert torch.equal(tf.conv2d(value, filter, case["strides"], case["padding"]), result)
        ours = conv2d_transpose(cotangent, filter, value.shape, case["strides"], case["padding"])
        assert torch.equal(ours, back)

    @pytest.mark.parametrize(("index", "case"), golden("pooling"))
    def test_pooling(self, index, case):
        value, maxima, means = arrays(index, "value", "max_pool", "avg_pool")
        options = (case["kernel"], case["strides"], case["padding"])
        assert torch.equal(tf.max_pool(value, *options), maxima)
        torch.testing.assert_close(tf.avg_pool(value, *options), means)

    @pytest.mark.parametrize(("index", "case"), golden("pooling"))
    def test_unpooling_is_the_gradient_and_ties_go_to_the_same_pixel(self, index, case):
        value, argmax, cotangent, back_max, back_mean = arrays(
            index, "value", "argmax", "cotangent", "max_unpool", "avg_unpool"
        )
        windows = tf.windows_of(value, case["kernel"], case["strides"], case["padding"])
        _, switches = max_pool(value.permute(0, 3, 1, 2), windows)
        assert torch.equal(switches.permute(0, 2, 3, 1), argmax // value.shape[3])  # theirs counts channels
        cotangent = cotangent.permute(0, 3, 1, 2)
        assert torch.equal(max_unpool(cotangent, switches, windows).permute(0, 2, 3, 1), back_max)
        torch.testing.assert_close(avg_unpool(cotangent, windows).permute(0, 2, 3, 1), back_mean)

    def test_the_output_shapes_it_accepts(self):
        sizes = json.loads(str(GOLDEN["sizes"]))
        assert len(sizes) == 72
        for case in sizes:
            w, f, s, padding = case["size"], case["kernel"], case["stride"], case["padding"]
            assert list(transposed_sizes(w, f, s, padding)) == case["accepted"]


class TestTransposedConvolution:
    def test_the_course_s_example(self):
        """4x4 of ones through 1, 0, -1, -2 with stride 2 is -2 everywhere; back, -2 times the filter."""
        for padding in ("VALID", "SAME"):
            small = tf.conv2d(torch.ones(1, 4, 4, 1), COURSE_FILTER, [1, 2, 2, 1], padding)
            assert grid(small) == [[-2, -2], [-2, -2]]
            back = conv2d_transpose(small, COURSE_FILTER, [1, 4, 4, 1], [1, 2, 2, 1], padding)
            assert grid(back) == [[-2, 0, -2, 0], [2, 4, 2, 4], [-2, 0, -2, 0], [2, 4, 2, 4]]

    def test_ones_paint_the_filter_sixteen_times(self):
        back = conv2d_transpose(torch.ones(1, 4, 4, 1), COURSE_FILTER, (1, 8, 8, 1), 2, "VALID")
        assert grid(back) == [[1, 0] * 4, [-1, -2] * 4] * 4

    def test_overlaps_are_summed(self):
        back = conv2d_transpose(nhwc([[1, 2], [3, 4]]), COURSE_FILTER, (1, 3, 3, 1), 1, "VALID")
        assert grid(back) == [[1, 2, 0], [2, 0, -4], [-3, -10, -8]]

    def test_same_cuts_what_was_padded_after(self):
        back = conv2d_transpose(torch.ones(1, 2, 2, 1), COURSE_FILTER, (1, 3, 3, 1), 2, "SAME")
        assert grid(back) == [[1, 0, 1], [-1, -2, -1], [1, 0, 1]]

    def test_a_valid_size_above_the_least_ends_in_zeros(self):
        back = conv2d_transpose(torch.ones(1, 1, 1, 1), COURSE_FILTER, (1, 3, 2, 1), 2, "VALID")
        assert grid(back) == [[1, 0], [-1, -2], [0, 0]]

    def test_the_steps(self):
        assert grid(flip(COURSE_FILTER).permute(2, 3, 0, 1)) == [[-2, -1], [0, 1]]
        assert flip(torch.zeros(5, 4, 3, 2)).shape == (5, 4, 2, 3)
        stuffed = stuff_zeros(nhwc([[1, 2], [3, 4]]), (2, 3))
        assert grid(stuffed) == [[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]]

    def test_equals_the_framework_s_operator_on_random_shapes(self):
        draw, torch_draw = random.Random(1), torch.Generator().manual_seed(1)
        for _ in range(NUM_RANDOM):
            n, c_in, c_out = (draw.randint(1, 3) for _ in range(3))
            (h, w), (kh, kw), strides = [(draw.randint(1, top), draw.randint(1, top)) for top in (5, 5, 3)]
            padding = draw.choice(["SAME", "VALID"])
            height = draw.choice(transposed_sizes(h, kh, strides[0], padding))
            width = draw.choice(transposed_sizes(w, kw, strides[1], padding))
            value = torch.randn(n, h, w, c_in, generator=torch_draw, dtype=torch.float64)
            filter = torch.randn(kh, kw, c_out, c_in, generator=torch_draw, dtype=torch.float64)
            whole = functional.conv_transpose2d(
                value.permute(0, 3, 1, 2), filter.permute(3, 2, 0, 1), stride=strides
            )
            # SAME: what the forward convolution padded is not part of the image
            top = max((h - 1) * strides[0] + kh - height, 0) // 2
            left = max((w - 1) * strides[1] + kw - width, 0) // 2
            right, bottom = left + width - whole.shape[3], top + height - whole.shape[2]
            expected = functional.pad(whole, [-left, right, -top, bottom]).permute(0, 2, 3, 1)
            ours = conv2d_transpose(value, filter, (n, height, width, c_out), strides, padding)
            torch.testing.assert_close(ours, expected)

    @pytest.mark.parametrize(
        ("output_shape", "padding"),
        [
            ((1, 10, 8, 1), "VALID"),
            ((1, 7, 8, 1), "VALID"),
            ((1, 8, 6, 1), "SAME"),
            ((2, 8, 8, 1), "VALID"),
            ((1, 8, 8, 2), "VALID"),
            ((8, 8, 1), "VALID"),
        ],
    )
    def test_an_impossible_output_shape_is_refused_with_the_legal_ones(self, output_shape, padding):
        legal = "n = 1, h = 8 or 9, w = 8 or 9, c = 1"
        if padding == "SAME":
            legal = "n = 1, h = 7 or 8, w = 7 or 8, c = 1"
        with pytest.raises(ConvlabError) as refusal:
            conv2d_transpose(torch.ones(1, 4, 4, 1), COURSE_FILTER, output_shape, 2, padding)
        assert legal in str(refusal.value)
        assert str(output_shape) in str(refusal.value)

    @pytest.mark.parametrize(
        ("strides", "padding", "channels", "message"),
        [
            ((2, 1, 1, 1), "VALID", 1, r"strides is \(2, 1, 1, 1\)"),
            ((1, 2, 2), "VALID", 1, r"strides is \(1, 2, 2\)"),
            (0, "VALID", 1, "stride is 0"),
            (1, "same", 1, "padding is 'same'"),
            (1, "VALID", 2, r"\(1, 4, 4, 2\) and \(2, 2, 1, 1\)"),
        ],
    )
    def test_bad_arguments_are_refused(self, strides, padding, channels, message):
        value = torch.ones(1, 4, 4, channels)
        with pytest.raises(ConvlabError, match=message):
            tf.conv2d(value, COURSE_FILTER, strides, padding)
        with pytest.raises(ConvlabError, match=message):
            conv2d_transpose(value, COURSE_FILTER, (1, 5, 5, 1), strides, padding)

    def test_a_flat_value_is_refused(self):
        with pytest.raises(ConvlabError, match=r"\(4, 4\)"):
            tf.max_pool(torch.ones(4, 4), 2, 2, "SAME")


class TestUnpooling:
    def test_overlapping_windows_are_summed(self):
        """Four windows of 3x3 at stride 2 find the one 9 in the middle of 5x5, and all return to it."""
        peak = torch.zeros(1, 1, 5, 5)
        peak[0, 0, 2, 2] = 9
        windows = Windows.over((5, 5), (3, 3), (2, 2), "VALID")
        pooled, switches = max_pool(peak, windows)
        assert grid(pooled) == [[9, 9], [9, 9]]
        assert grid(switches) == [[12, 12], [12, 12]]
        back = max_unpool(image([[1, 2], [3, 4]]), switches, windows)
        assert back[0, 0, 2, 2] == 1 + 2 + 3 + 4
        assert back.sum() == 10

    def test_the_first_of_equal_maxima_is_recorded(self):
        windows = Windows.over((4, 4), (2, 2), (2, 2), "VALID")
        _, switches = max_pool(torch.ones(1, 1, 4, 4), windows)
        assert grid(switches) == [[0, 2], [8, 10]]
        _, switches = max_pool(image([[1, 3, 0, 0], [3, 3, 5, 0], [0, 0, 0, 0], [0, 0, 7, 7]]), windows)
        assert grid(switches) == [[1, 6], [8, 14]]

    def test_odd_sizes(self):
        """3x3 with 2x2 windows: rounded down, the last row and column are unseen; SAME sees them alone."""
        count = image([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
        valid = Windows.over((3, 3), (2, 2), (2, 2), "VALID")
        pooled, switches = max_pool(count, valid)
        assert grid(max_unpool(pooled, switches, valid)) == [[0, 0, 0], [0, 5, 0], [0, 0, 0]]
        assert grid(avg_unpool(pooled, valid)) == [[1.25, 1.25, 0], [1.25, 1.25, 0], [0, 0, 0]]
        same = Windows.over((3, 3), (2, 2), (2, 2), "SAME")
        pooled, switches = max_pool(count, same)
        assert grid(max_unpool(pooled, switches, same)) == [[0, 0, 0], [0, 5, 6], [0, 8, 9]]

    def test_padding_is_no_place_to_return_to(self):
        """Padded by 1, windows of 2x2 take the rows 0 and 1-2; a maximum below 0 beats the padding."""
        count = image([[-1, -2, -3], [-4, -5, -6], [-7, -8, -9]])
        windows = Windows.over((3, 3), (2, 2), (2, 2), (1, 1))
        pooled, switches = max_pool(count, windows)
        assert grid(pooled) == [[-1, -2], [-4, -5]]
        assert grid(switches) == [[0, 1], [3, 4]]
        assert grid(max_unpool(pooled, switches, windows)) == [[-1, -2, 0], [-4, -5, 0], [0, 0, 0]]

    def test_an_average_is_spread_over_the_pixels_it_counted(self):
        same = Windows.over((3, 3), (2, 2), (2, 2), "SAME")
        assert real_pixels(same).tolist() == [[4, 2], [2, 1]]
        back = avg_unpool(image([[4, 2], [6, 5]]), same)
        assert grid(back) == [[1, 1, 1], [1, 1, 1], [3, 3, 5]]
        overlapping = Windows.over((1, 3), (1, 2), (1, 1), "VALID")
        assert grid(avg_unpool(image([[2, 4]]), overlapping)) == [[1, 3, 2]]

    def test_pooled_again(self):
        """What the module says of disjoint windows: unchanged from the maximum, a fourth of the average."""
        draw = torch.Generator().manual_seed(2)
        value = torch.rand(2, 3, 3, 4, generator=draw)
        windows = Windows.over((6, 8), (2, 2), (2, 2), "VALID")
        _, switches = max_pool(torch.rand(2, 3, 6, 8, generator=draw), windows)
        assert torch.equal(max_pool(max_unpool(value, switches, windows), windows)[0], value)
        torch.testing.assert_close(avg_pool(avg_unpool(value, windows), windows), value / 4)

    def test_adjoint_on_random_windows(self):
        """<pool(x), y> = <x, unpool(y)>; the maximum as the linear map that reads where x's switches are."""
        draw = torch.Generator().manual_seed(3)
        for windows in random_windows(3):
            x, z = torch.randn(2, 2, 3, *windows.size, generator=draw, dtype=torch.float64)
            pooled, switches = max_pool(x, windows)
            y = torch.randn(pooled.shape, generator=draw, dtype=torch.float64)
            read = z.flatten(2).gather(2, switches.flatten(2)).reshape(y.shape)
            torch.testing.assert_close((read * y).sum(), (z * max_unpool(y, switches, windows)).sum())
            means, back = avg_pool(x, windows), avg_unpool(y, windows)
            assert back.shape == x.shape
            torch.testing.assert_close((means * y).sum(), (x * back).sum())
            assert torch.equal(x.flatten(2).gather(2, switches.flatten(2)).reshape(y.shape), pooled)

    def test_convolution_and_its_transpose_are_adjoint(self):
        draw = torch.Generator().manual_seed(4)
        for strides in (1, 2, (3, 2)):
            for padding in ("SAME", "VALID"):
                x = torch.randn(2, 9, 8, 3, generator=draw, dtype=torch.float64)
                filter = torch.randn(4, 3, 3, 5, generator=draw, dtype=torch.float64)
                forward = tf.conv2d(x, filter, strides, padding)
                y = torch.randn(forward.shape, generator=draw, dtype=torch.float64)
                back = conv2d_transpose(y, filter, x.shape, strides, padding)
                torch.testing.assert_close((forward * y).sum(), (x * back).sum())


LINEAR = {
    "conv": [nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, (2, 3), stride=(2, 1), padding=(1, 2))],
    "same": [nn.Conv2d(2, 3, 5, padding="same"), nn.Conv2d(3, 4, (4, 2), padding="same")],
    "dilation, groups": [nn.Conv2d(2, 4, 3, dilation=2, groups=2, stride=2), nn.Conv2d(4, 4, 2, padding=1)],
    "max": [nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=1)],
    "max 3x3/2": [nn.Conv2d(2, 4, 2), nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), nn.MaxPool2d(3, 2)],
    "max dilated": [nn.MaxPool2d(2, 1, dilation=2), nn.Conv2d(2, 4, 3)],
    "average": [nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.Conv2d(3, 4, 2)],
    "average 3x3/2": [nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), nn.Conv2d(2, 4, 2)],
    "average of real pixels": [
        nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(2, 4, 2),
    ],
    "sum": [nn.AvgPool2d((2, 3), divisor_override=1), nn.Dropout(0.9), nn.Conv2d(2, 4, 2)],
}


def by_gradient(
    network: nn.Sequential, images: torch.Tensor, layer: str, maps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maximum of each image's map, and it times its gradient for the image, by autograd."""
    network = network.eval()
    value = images = images.clone().requires_grad_()
    for name, module in network.named_children():
        value = module(value)
        if name == layer:
            break
    largest = value[range(len(images)), maps].flatten(1).amax(1)
    (gradient,) = torch.autograd.grad(largest, images, largest.detach())
    return largest.detach(), gradient


class TestProjection:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
    @pytest.mark.parametrize("layers", LINEAR.values(), ids=LINEAR)
    def test_without_relu_it_is_the_activation_times_its_gradient(self, layers):
        torch.manual_seed(5)
        network = nn.Sequential(*layers).double()
        for parameter in network.parameters():
            nn.init.normal_(parameter)
        images, maps = torch.randn(3, 2, 13, 14, dtype=torch.float64), torch.tensor([3, 0, 1])
        last = str(len(layers) - 1)
        projection = project(network.train(), images, last, maps)  # dropout passes all, in training too
        assert network.training
        largest, expected = by_gradient(network, images, last, maps)
        torch.testing.assert_close(projection.activations, largest)
        torch.testing.assert_close(projection.pixels, expected)

    def test_the_relu_rule_by_hand(self):
        """One pixel of 2, two maps 2 w, one output.

        Weights 1, -1 then 3, 5: maps 2, -2, after ReLU 2, 0; output 3 * 2 = 6. The gradient knows that the
        second map was silent: 6 * 3 * 1 = 18. On the way back 6 becomes 18, 30, both positive, both pass:
        18 * 1 + 30 * -1 = -12.
        Weights 1, 1 then 3, -1: maps 2, 2; output 6 - 2 = 4. Gradient: 4 (3 - 1) = 8. On the way back 12, -4,
        of which ReLU leaves 12.
        """
        network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1))
        nn.init.zeros_(network[0].bias)
        nn.init.zeros_(network[2].bias)
        pixel = torch.full((1, 1, 1, 1), 2.0)
        for first, second, activation, back, gradient in [
            ([1, -1], [3, 5], 6, -12, 18),
            ([1, 1], [3, -1], 4, 12, 8),
        ]:
            network[0].weight.data = torch.tensor(first).float().reshape(2, 1, 1, 1)
            network[2].weight.data = torch.tensor(second).float().reshape(1, 2, 1, 1)
            projection = project(network, pixel, "2", 0)
            assert projection.activations.item() == activation
            assert projection.pixels.item() == back
            assert by_gradient(network, pixel, "2", torch.tensor([0]))[1].item() == gradient

    def test_biases_count_on_the_way_up_only(self):
        network = nn.Sequential(nn.Conv2d(1, 1, 1))
        nn.init.constant_(network[0].weight, 3.0)
        nn.init.constant_(network[0].bias, 10.0)
        projection = project(network, torch.full((1, 1, 1, 1), 2.0), "0", 0)
        assert projection.activations.item() == 3 * 2 + 10
        assert projection.pixels.item() == 16 * 3

    @pytest.mark.parametrize(
        ("network", "size", "layer"),
        [(LeNet, 28, name) for name in ("conv1", "relu1", "pool1", "conv2", "relu2", "pool2")]
        + [(LeNet5, 32, name) for name in ("c1", "s2", "c3", "relu3", "s4", "c5", "relu5")],
    )
    def test_the_lenets_against_autograd_with_the_relu_exchanged(self, network, size, layer):
        """The gradient whose ReLU passes what is positive of the gradient itself: hooks do that."""
        torch.manual_seed(6)
        lenet = network().double()
        images = torch.randn(4, 1, size, size, dtype=torch.float64)
        maps = activations(lenet, images, layer).amax((2, 3)).argmax(1)  # none that is silent
        projection = project(lenet, images, layer, maps)
        assert (projection.activations > 0).all()
        for module in lenet.modules():
            if isinstance(module, nn.ReLU):
                module.register_full_backward_pre_hook(lambda _, gradients: (gradients[0].relu(),))
                module.forward = lambda value: value + (value.relu() - value).detach()
        _, expected = by_gradient(lenet, images, layer, maps)
        torch.testing.assert_close(projection.pixels, expected)

    def test_chosen_positions(self):
        torch.manual_seed(7)
        lenet, images = LeNet(), torch.randn(2, 1, 28, 28)
        positions = torch.tensor([[0, 13], [6, 2]])
        maps = activations(lenet, images, "pool1")
        assert maps.shape == (2, 32, 14, 14)
        projection = project(lenet, images, "pool1", 9, positions)
        assert torch.equal(projection.activations, torch.stack([maps[0, 9, 0, 13], maps[1, 9, 6, 2]]))
        strongest = project(lenet, images, "pool1", 9)
        assert torch.equal(strongest.activations, maps[:, 9].flatten(1).amax(1))
        assert torch.equal(maps[[0, 1], 9, *strongest.positions.T], strongest.activations)

    def test_boxes_of_the_lenets(self):
        """LeNet-5's C3 sees 14 pixels, a step of 2 apart; LeNet's conv2 too, but from pixel -6 on."""
        positions = torch.tensor([[0, 0], [3, 9]])
        boxes = project(LeNet5(), torch.zeros(2, 1, 32, 32), "c3", 0, positions).boxes
        assert boxes.tolist() == [[0, 0, 14, 14], [6, 18, 20, 32]]
        positions = torch.tensor([[0, 7], [13, 5]])
        images = torch.randn(2, 1, 28, 28)
        boxes = project(LeNet(), images, "conv2", 0, positions).boxes
        assert boxes.tolist() == [[0, 8, 8, 22], [20, 4, 28, 18]]
        first, second = crop(images, boxes)
        assert torch.equal(first, images[0, :, :8, 8:22])
        assert second.shape == (1, 8, 14)
        table = {row.name: row.fields for row in rows(network_of(LeNet(), (1, 28, 28)))}
        assert (table["conv2"][0].size, table["conv2"][0].stride, table["conv2"][0].offset) == (14, 2, 0.5)

    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
    @pytest.mark.parametrize(
        "layers",
        [
            [nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(1, 1, 3), nn.ReLU()],
            [nn.Conv2d(1, 1, 4, padding="same"), nn.AvgPool2d(3, 2), nn.Conv2d(1, 1, (2, 3))],
            [nn.Conv2d(1, 1, (3, 2), stride=2, padding=(1, 0)), nn.AvgPool2d(2)],
            [nn.AvgPool2d((2, 3), ceil_mode=True, count_include_pad=False)],
        ],
    )
    def test_with_weights_of_one_it_is_positive_in_the_box_and_zero_outside(self, layers):
        network, images = nn.Sequential(*layers), torch.rand(1, 1, 12, 11) + 1
        for parameter in network.parameters():
            nn.init.ones_(parameter)
        last = str(len(layers) - 1)
        height, width = activations(network, images, last).shape[2:]
        for position in [(row, column) for row in range(height) for column in range(width)]:
            projection = project(network, images, last, 0, torch.tensor([position]))
            seen = torch.zeros(12, 11, dtype=torch.bool)
            top, left, bottom, right = projection.boxes[0]
            seen[top:bottom, left:right] = True
            assert torch.equal(projection.pixels[0, 0] > 0, seen)
            assert (projection.pixels[0, 0][~seen] == 0).all()

    def test_zero_outside_the_box_through_a_lenet(self):
        torch.manual_seed(8)
        projection = project(LeNet(), torch.randn(16, 1, 28, 28), "pool2", torch.arange(16))
        for pixels, (top, left, bottom, right) in zip(
            projection.pixels[:, 0], projection.boxes.tolist(), strict=True
        ):
            assert pixels.abs().sum() > 0
            pixels[top:bottom, left:right] = 0
            assert (pixels == 0).all()

    @pytest.mark.parametrize(
        ("layer", "maps", "positions", "message"),
        [
            ("conv9", 0, None, "no layer is called 'conv9'; the network has conv1, relu1, pool1"),
            ("fc1", 0, None, r"flatten: .* no way back through Flatten, only through Conv2d, ReLU"),
            ("conv1", 32, None, r"maps of conv1: expected 0 to 31, found \[32, 32\]"),
            ("conv1", -1, None, "maps of conv1: expected 0 to 31"),
            ("conv1", [1, 2, 3], None, r"maps of conv1: expected the shape \(2,\), found \(3,\)"),
            ("pool1", 0, [[0, 0], [3, 14]], r"positions in pool1: expected 0 to 13 and 0 to 13, found"),
            ("pool1", 0, [0, 3], r"positions in pool1: expected the shape \(2, 2\)"),
        ],
    )
    def test_what_is_not_there_is_refused(self, layer, maps, positions, message):
        positions = None if positions is None else torch.tensor(positions)
        with pytest.raises(ConvlabError, match=message):
            project(LeNet(), torch.zeros(2, 1, 28, 28), layer, maps, positions)

    @pytest.mark.parametrize(
        ("second", "message"),
        [
            (nn.BatchNorm2d(2), "1: .* no way back through BatchNorm2d"),
            (nn.LeakyReLU(), "1: .* no way back through LeakyReLU"),
            (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "1: padding_mode is 'circular'"),
            (nn.Conv2d(3, 2, 3), r"1: expected 3 channels; found images of \(1, 2, 4, 4\)"),
            (nn.MaxPool2d(5), "1: a window of 5 does not fit into 4 pixels"),
        ],
    )
    def test_a_layer_without_a_way_back_is_refused_by_name(self, second, message):
        with pytest.raises(ConvlabError, match=message):
            project(nn.Sequential(nn.Conv2d(1, 2, 1), second), torch.zeros(1, 1, 4, 4), "1", 0)

    def test_a_subclass_is_refused_since_it_may_compute_something_else(self):
        class Doubled(nn.Conv2d):
            def forward(self, images):
                return 2 * super().forward(images)

        with pytest.raises(ConvlabError, match=r"0: .* no way back through Doubled"):
            project(nn.Sequential(Doubled(1, 2, 1)), torch.zeros(1, 1, 4, 4), "0", 0)

    def test_flat_images_are_refused(self):
        with pytest.raises(ConvlabError, match=r"found the shape \(28, 28\)"):
            project(LeNet(), torch.zeros(28, 28), "conv1", 0)

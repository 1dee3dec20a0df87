"""Sizes, padding, receptive fields and counts: by hand, and against torch on random shapes."""

import random
import re
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from convlab.arithmetic.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    RadialBasis,
)
from convlab.arithmetic.network import Branches, Network, Unit, rows, totals
from convlab.arithmetic.receptive_field import ReceptiveField, Window
from convlab.arithmetic.sizes import (
    output_size,
    padding_before_after,
    size_keeping_padding,
    span,
    transposed_size,
    transposed_sizes,
)
from convlab.arithmetic.sliding import Conv, Pool, Subsampling, TableConv
from convlab.base.errors import ConvlabError

NUM_RANDOM = 300


def cases(seed: int, **ranges: tuple[int, int]) -> list[dict[str, int]]:
    """Random whole numbers in each range, ends included; the same on every run."""
    draw = random.Random(seed)
    return [{name: draw.randint(*ends) for name, ends in ranges.items()} for _ in range(NUM_RANDOM)]


def attempt(function, *arguments, **options):
    """The result, or None where ours refuses."""
    try:
        return function(*arguments, **options)
    except ConvlabError:
        return None


def torch_size(module: nn.Module, size: int) -> int | None:
    """What torch makes of `size` pixels, or None where it refuses."""
    try:
        return module(torch.zeros(1, 1, size, size)).shape[-1]
    except RuntimeError:
        return None


class TestSizes:
    @pytest.mark.parametrize(
        ("size", "kernel", "stride", "padding", "expected"),
        [
            (5, 3, 1, "VALID", 3),
            (7, 3, 1, "VALID", 5),
            (7, 3, 2, "VALID", 3),
            (32, 5, 1, "VALID", 28),
            (32, 5, 1, 2, 32),
            (13, 6, 5, "VALID", 2),  # ceil(8 / 5); the last two pixels are never seen
            (13, 6, 5, "SAME", 3),  # ceil(13 / 5)
            (227, 11, 4, "VALID", 55),  # AlexNet's first layer
            (224, 7, 2, 3, 112),  # ResNet's: 223 / 2 is no whole number and is cut
            (1, 5, 3, "SAME", 1),
        ],
    )
    def test_by_hand(self, size, kernel, stride, padding, expected):
        assert output_size(size, kernel, stride, padding) == expected

    def test_dilation_spreads_the_taps(self):
        assert span(3, 4) == 9
        assert output_size(10, 3, dilation=4) == 2

    def test_rounding_modes_differ_where_the_stride_leaves_a_remainder(self):
        assert output_size(6, 3, 2, rounding="floor") == 2  # (6 - 3) / 2 + 1 = 2.5
        assert output_size(6, 3, 2, rounding="ceil") == 3
        assert output_size(7, 3, 2, rounding="exact") == 3
        # ceil(2 / 3) + 1 = 2, but the second window would start at 3 of 1 + 1: padding only
        assert output_size(1, 1, 3, 1, rounding="ceil") == 1

    def test_exact_refuses_a_remainder(self):
        with pytest.raises(ConvlabError, match=re.escape("(7 - 3 + 2 * 0) / 3 + 1 = 2.33")):
            output_size(7, 3, 3, rounding="exact")

    def test_valid_counts_the_windows_that_fit(self):
        for case in cases(1, size=(1, 40), kernel=(1, 9), stride=(1, 6), dilation=(1, 3)):
            starts = range(0, case["size"] - span(case["kernel"], case["dilation"]) + 1, case["stride"])
            assert attempt(output_size, **case) == (len(starts) or None), case

    def test_explicit_padding_as_torch_convolves(self):
        for case in cases(2, size=(1, 40), kernel=(1, 9), stride=(1, 6), padding=(0, 5), dilation=(1, 3)):
            options = {name: value for name, value in case.items() if name not in ("size", "kernel")}
            conv = nn.Conv2d(1, 1, case["kernel"], **options)
            assert attempt(output_size, **case) == torch_size(conv, case["size"]), case

    @pytest.mark.parametrize("rounding", ["floor", "ceil"])
    def test_explicit_padding_as_torch_pools(self, rounding):
        refused = 0
        ranges = {"size": (1, 40), "kernel": (1, 9), "stride": (1, 9), "padding": (0, 4), "dilation": (1, 3)}
        for case in cases(3, **ranges):
            size, kernel = case.pop("size"), case.pop("kernel")
            pool = Pool(kernel, rounding=rounding, **case)
            effect = attempt(pool.on, (1, size, size))
            found = torch_size(nn.MaxPool2d(kernel, **case, ceil_mode=rounding == "ceil"), size)
            assert (effect and effect.output[-1]) == found, (size, kernel, case)
            refused += found is None
        assert 0 < refused < NUM_RANDOM / 2

    def test_a_window_larger_than_the_image_is_refused_with_a_padding_that_works(self):
        with pytest.raises(ConvlabError, match=r"window of 7 .* into 4 pixels .* padding from 2 up"):
            output_size(4, 7)
        assert output_size(4, 7, padding=2) == 2
        with pytest.raises(ConvlabError, match=r"3 dilated by 4 \(9 pixels\) .* into 8 pixels"):
            output_size(8, 3, dilation=4)

    @pytest.mark.parametrize("name", ["size", "kernel", "stride", "dilation"])
    def test_zero_is_refused_by_name(self, name):
        with pytest.raises(ConvlabError, match=f"{name} is 0"):
            output_size(**{"size": 5, "kernel": 3, "stride": 1, "dilation": 1} | {name: 0})

    def test_negative_padding_is_refused(self):
        with pytest.raises(ConvlabError, match="padding is -1"):
            output_size(5, 3, padding=-1)


class TestWorkedExamples:
    """Convolutions with numbers in them, each output worked out by hand."""

    def test_a_filter_and_a_bias_on_5x5x1(self):
        image = torch.tensor(
            [[1.0, 0, 2, 3, 1], [5, 4, 2, 0, 2], [3, 4, 5, 1, 0], [2, 1, 0, 2, 3], [1, 3, 2, 0, 1]]
        )
        rising = torch.tensor([[-1.0, 0, 1]]).repeat(3, 1)
        found = functional.conv2d(image[None, None], rising[None, None], torch.tensor([1.0]))
        # column sums of rows 0..2: 9 8 9 4 3; of rows 1..3: 10 9 7 3 5; of rows 2..4: 6 8 7 3 4
        assert found[0, 0].tolist() == [[1, -3, -5], [-2, -5, -1], [2, -4, -2]]
        effect = Conv(1, 3).on((1, 5, 5))
        assert (effect.output, effect.parameters) == (tuple(found.shape[1:]), 3 * 3 + 1)

    @pytest.mark.parametrize(
        ("stride", "expected"),
        [  # nine times the pixel in the middle; pixels are numbered row by row
            (1, [[9 * (7 * row + column) for column in range(1, 6)] for row in range(1, 6)]),
            (2, [[72, 90, 108], [198, 216, 234], [324, 342, 360]]),
        ],
    )
    def test_7x7_at_stride_1_and_2(self, stride, expected):
        numbers = torch.arange(49.0).reshape(1, 1, 7, 7)
        found = functional.conv2d(numbers, torch.ones(1, 1, 3, 3), stride=stride)
        assert found[0, 0].tolist() == expected
        assert output_size(7, 3, stride) == len(expected)

    def test_32x32x3_is_kept_by_two_zeros_a_side(self):
        padding = size_keeping_padding(5)
        found = functional.conv2d(torch.ones(1, 3, 32, 32), torch.ones(1, 3, 5, 5), padding=padding)
        assert (padding, tuple(found.shape)) == (2, (1, 1, 32, 32))
        assert found[0, 0, 16, 16] == 75
        assert found[0, 0, 0, 0] == found[0, 0, 31, 31] == 27  # two rows and two columns are zeros
        assert found[0, 0, 0, 16] == 45

    def test_sixteen_filters_on_5x5x3_keep_it_with_same(self):
        conv = nn.Conv2d(3, 16, 3, padding="same")
        for index in range(16):
            nn.init.constant_(conv.weight[index], index + 1)
            nn.init.constant_(conv.bias[index], 100 * index)
        found = conv(torch.ones(1, 3, 5, 5))[0]
        assert found[:, 2, 2].tolist() == [27 * (index + 1) + 100 * index for index in range(16)]
        assert found[:, 0, 0].tolist() == [12 * (index + 1) + 100 * index for index in range(16)]
        effect = Conv(16, 3, padding="SAME").on((3, 5, 5))
        assert effect.output == tuple(found.shape) == (16, 5, 5)
        assert effect.parameters == 16 * (27 + 1)


class TestPadding:
    def test_same_pads_one_more_after_the_image(self):
        assert padding_before_after(13, 6, 5, "SAME") == (1, 2)  # (3 - 1) * 5 + 6 - 13 = 3
        assert padding_before_after(28, 5, 1, "SAME") == (2, 2)
        assert padding_before_after(224, 7, 2, "SAME") == (2, 3)  # where torch's ResNet pads (3, 3)
        assert padding_before_after(10, 1, 2, "SAME") == (0, 0)
        assert padding_before_after(10, 3, 1, "VALID") == (0, 0)
        assert padding_before_after(10, 3, 1, 4) == (4, 4)

    def test_same_total_in_the_other_form_that_tensorflow_documents(self):
        for case in cases(4, size=(1, 60), kernel=(1, 9), stride=(1, 6), dilation=(1, 3)):
            size, stride, window = case["size"], case["stride"], span(case["kernel"], case["dilation"])
            expected = max(window - (size % stride or stride), 0)
            before, after = padding_before_after(**case, padding="SAME")
            assert before + after == expected, case
            assert after - before in (0, 1), case

    @pytest.mark.parametrize("kernel", [2, 3, 4, 5])
    @pytest.mark.parametrize("dilation", [1, 2, 3])
    def test_same_puts_the_taps_where_torch_does(self, kernel, dilation):
        generator = torch.Generator().manual_seed(kernel)
        image, taps = (
            torch.randn(1, 1, 11, generator=generator),
            torch.randn(1, 1, kernel, generator=generator),
        )
        padded = functional.pad(image, padding_before_after(11, kernel, 1, "SAME", dilation))
        ours = functional.conv1d(padded, taps, dilation=dilation)
        with warnings.catch_warnings(action="ignore"):  # that it copies the image for an even window
            theirs = functional.conv1d(image, taps, padding="same", dilation=dilation)
        torch.testing.assert_close(ours, theirs)

    def test_padding_that_keeps_the_size(self):
        assert size_keeping_padding(5) == 2  # 32x32x3 with 5x5 stays 32x32
        assert output_size(32, 5, padding=size_keeping_padding(5)) == 32
        assert size_keeping_padding(1) == 0
        assert size_keeping_padding(3, dilation=2) == 2
        assert size_keeping_padding(2, dilation=2) == 1  # two taps, three pixels
        with pytest.raises(ConvlabError, match="window of 4 is even"):
            size_keeping_padding(4)


class TestTransposed:
    def test_by_hand(self):
        assert transposed_size(4, 2, 2) == 8
        assert transposed_size(4, 3, 2, "VALID") == 9  # 4 * 2 + max(3 - 2, 0)
        assert transposed_size(4, 3, 2, "SAME") == 8
        assert transposed_size(4, 3, 2, 1) == 7  # 3 * 2 - 2 + 3
        assert transposed_size(4, 3, 2, 1, output_padding=1) == 8
        assert transposed_size(4, 2, 3, "VALID") == 12  # a gap after the last window too

    def test_explicit_as_torch(self):
        ranges = {"size": (1, 12), "kernel": (1, 7), "stride": (1, 5), "padding": (0, 4)}
        for case in cases(5, **ranges, dilation=(1, 3), output_padding=(0, 4)):
            options = {name: value for name, value in case.items() if name not in ("size", "kernel")}
            module = nn.ConvTranspose2d(1, 1, case["kernel"], **options)
            # torch returns an empty tensor where nothing is left; that is refused here
            assert attempt(transposed_size, **case) == (torch_size(module, case["size"]) or None), case

    @pytest.mark.parametrize("padding", ["VALID", "SAME"])
    def test_legal_sizes_are_those_that_convolve_back(self, padding):
        for case in cases(6, size=(1, 9), kernel=(1, 7), stride=(1, 5), dilation=(1, 2)):
            arguments = (case["kernel"], case["stride"], padding, case["dilation"])
            back = [big for big in range(1, 100) if attempt(output_size, big, *arguments) == case["size"]]
            legal = transposed_sizes(case["size"], *arguments)
            assert list(legal) == back, case
            assert transposed_size(case["size"], *arguments) in legal, case

    def test_legal_sizes_by_hand(self):
        assert list(transposed_sizes(4, 2, 2)) == [8, 9]
        assert list(transposed_sizes(4, 3, 2, "SAME")) == [7, 8]

    def test_impossible_ones_are_refused(self):
        with pytest.raises(ConvlabError, match="output_padding from 0 to 1"):
            transposed_size(4, 3, 2, 1, output_padding=2)
        with pytest.raises(ConvlabError, match=re.escape("(1 - 1) * 2 - 2 * 2 + 3 + 0 = -1")):
            transposed_size(1, 3, 2, 2)
        with pytest.raises(ConvlabError, match="goes with a number as padding, not SAME"):
            transposed_size(4, 3, 2, "SAME", output_padding=1)


class TestReceptiveField:
    def test_lenet5_by_hand(self):
        field = ReceptiveField()
        assert (field := field.through(Window(5))) == ReceptiveField(5, 1, 2.0)
        assert (field := field.through(Window(2, 2))) == ReceptiveField(6, 2, 2.5)
        assert (field := field.through(Window(5))) == ReceptiveField(14, 2, 6.5)
        assert (field := field.through(Window(2, 2))) == ReceptiveField(16, 4, 7.5)
        assert field.through(Window(5)) == ReceptiveField(32, 4, 15.5)  # C5 sees all of 32x32

    def test_padding_before_moves_the_centre_back(self):
        assert ReceptiveField(1, 2, 3.0).through(Window(5, 1, 2)) == ReceptiveField(9, 2, 3.0)

    def test_union_spans_both(self):
        small, large = ReceptiveField(3, 2, 4.0), ReceptiveField(7, 2, 5.0)  # 3..5 and 2..8
        assert small.union(large) == ReceptiveField(7, 2, 5.0)
        assert ReceptiveField(3, 2, 4.0).union(ReceptiveField(3, 2, 7.0)) == ReceptiveField(6, 2, 5.5)  # 3..8

    @pytest.mark.parametrize("seed", range(12))
    def test_is_where_the_gradient_reaches(self, seed):
        """Ones as weights: the gradient of a unit is above zero at the first and last pixel it sees."""
        draw = random.Random(seed)
        layers, modules = {}, []
        for number in range(draw.randint(2, 4)):
            kernel = (draw.randint(1, 5), draw.randint(1, 5))
            stride = (draw.randint(1, 3), draw.randint(1, 2))
            padding = (draw.randint(0, kernel[0] // 2), draw.randint(0, kernel[1] // 2))
            if draw.random() < 0.3:
                layers[f"pool{number}"] = Pool(kernel, stride, padding, mode="average")
                modules.append(nn.AvgPool2d(kernel, stride, padding))
            else:
                dilation = draw.randint(1, 2)
                layers[f"conv{number}"] = Conv(1, kernel, stride, padding, dilation)
                modules.append(nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False))
                nn.init.ones_(modules[-1].weight)
        image = torch.zeros(1, 1, 120, 110, requires_grad=True)
        last = rows(Network((1, 120, 110), layers))[-1]
        output = nn.Sequential(*modules)(image)
        assert tuple(output.shape[1:]) == last.output
        unit = [size // 2 for size in last.output[1:]]
        output[0, 0, unit[0], unit[1]].backward()
        for axis, reached in enumerate((image.grad[0, 0].sum(1), image.grad[0, 0].sum(0))):
            field = last.fields[axis]
            centre, reach = field.offset + unit[axis] * field.stride, (field.size - 1) / 2
            assert 0 < centre - reach <= centre + reach < len(reached) - 1, "choose a larger image"
            pixels = reached.nonzero().flatten().tolist()
            assert (pixels[0], pixels[-1]) == (centre - reach, centre + reach), layers


class TestLayers:
    def test_one_filter_on_a_5x5_image(self):
        effect = Conv(1, 3).on((1, 5, 5))
        assert effect.output == (1, 3, 3)
        assert effect.parameters == 10  # nine weights and a bias
        assert effect.connections == 90
        assert effect.multiply_adds == 81

    def test_sixteen_filters_on_5x5x3(self):
        effect = Conv(16, 3, padding="SAME").on((3, 5, 5))
        assert effect.output == (16, 5, 5)
        assert effect.parameters == 16 * (27 + 1)
        assert effect.multiply_adds == 16 * 27 * 25

    def test_dense(self):
        effect = Dense(10).on((84,))
        assert (effect.output, effect.parameters, effect.connections) == ((10,), 850, 850)
        assert effect.multiply_adds == 840
        assert Dense(10, bias=False).on((84,)).parameters == 840

    def test_pooling_has_connections_but_no_parameters(self):
        effect = Pool(2).on((6, 28, 28))
        assert (effect.output, effect.parameters, effect.multiply_adds) == ((6, 14, 14), 0, 0)
        assert effect.connections == 4 * 6 * 14 * 14

    def test_subsampling_has_a_coefficient_and_a_bias_a_map(self):
        effect = Subsampling(2).on((6, 28, 28))
        assert (effect.output, effect.parameters, effect.multiply_adds) == ((6, 14, 14), 12, 1176)
        assert effect.connections == (4 + 1) * 1176
        assert effect.windows == (Window(2, 2), Window(2, 2))

    def test_a_connection_table_counts_what_it_connects(self):
        effect = TableConv(((0, 1), (2,), (0, 1, 2)), 3).on((3, 6, 7))
        assert effect.output == (3, 4, 5)
        assert effect.parameters == (2 + 1 + 3) * 9 + 3
        assert effect.connections == 57 * 20
        assert effect.multiply_adds == 54 * 20
        assert effect.windows == (Window(3), Window(3))

    def test_radial_basis_reads_all_and_trains_nothing(self):
        effect = RadialBasis(10).on((84,))
        assert (effect.output, effect.parameters, effect.connections) == ((10,), 0, 840)
        assert effect.multiply_adds == 840

    def test_global_average_and_flatten_read_the_whole_map(self):
        assert GlobalAverage().on((8, 5, 7)).output == (8,)
        assert GlobalAverage().on((8, 5, 7)).windows == (Window(5), Window(7))
        assert Flatten().on((8, 5, 7)).output == (280,)
        assert Flatten().on((8, 5, 7)).windows == (Window(5), Window(7))

    def test_batch_norm_scales_and_shifts_each_channel(self):
        effect = BatchNorm().on((8, 5, 5))
        assert (effect.output, effect.parameters, effect.connections) == ((8, 5, 5), 16, 400)

    def test_parameters_as_torch_has_them(self):
        for case in cases(
            7, groups=(1, 4), maps=(1, 5), channels=(1, 5), height=(1, 5), width=(1, 5), bias=(0, 1)
        ):
            groups, bias = case["groups"], bool(case["bias"])
            maps, channels = case["maps"] * groups, case["channels"] * groups
            kernel = (case["height"], case["width"])
            effect = Conv(maps, kernel, groups=groups, bias=bias).on((channels, 9, 9))
            module = nn.Conv2d(channels, maps, kernel, groups=groups, bias=bias, device="meta")
            assert effect.parameters == sum(parameter.numel() for parameter in module.parameters()), case
            assert effect.output == tuple(module(torch.empty(1, channels, 9, 9, device="meta")).shape[1:])

    def test_what_cannot_be_is_refused_with_the_values(self):
        with pytest.raises(ConvlabError, match=r"dense 10 expects a vector, found \(16, 5, 5\)"):
            Dense(10).on((16, 5, 5))
        with pytest.raises(ConvlabError, match=r"conv 5x5 expects an image, c h w; found \(120,\)"):
            Conv(6, 5).on((120,))
        with pytest.raises(ConvlabError, match=r"radial basis 10 expects a vector, found \(84, 1, 1\)"):
            RadialBasis(10).on((84, 1, 1))
        with pytest.raises(ConvlabError, match="conv 5x5 by table: the table reads maps beyond the 2"):
            TableConv(((0, 2),), 5).on((2, 9, 9))
        with pytest.raises(ConvlabError, match="groups 3 must divide 4 channels and 6 maps"):
            Conv(6, 5, groups=3).on((4, 9, 9))
        with pytest.raises(ConvlabError, match="max pool 3x3/2, pad 2: the padding must be 1 at most"):
            Pool(3, 2, padding=2).on((1, 9, 9))

    @pytest.mark.parametrize(
        ("layer", "kind"),
        [
            (Conv(6, 5), "conv 5x5"),
            (Conv(6, (1, 7), padding=(0, 3)), "conv 1x7, pad 0x3"),
            (Conv(6, 3, 2, 1, dilation=2, groups=3), "conv 3x3/2, pad 1, dilation 2, 3 groups"),
            (Pool(2), "max pool 2x2/2"),
            (Pool(3, 2, "SAME", mode="average"), "average pool 3x3/2, SAME"),
            (Pool(3, 2, rounding="ceil"), "max pool 3x3/2, ceil"),
            (TableConv(((0,),), 5), "conv 5x5 by table"),
            (Subsampling(2), "subsample 2x2/2"),
            (Dropout(0.5), "dropout 0.5"),
        ],
    )
    def test_kinds_read_as_the_field_writes_them(self, layer, kind):
        assert layer.kind == kind


class TestNetwork:
    def test_a_row_follows_from_the_one_before(self):
        table = rows(
            Network((3, 32, 32), {"conv": Conv(8, 5), "pool": Pool(2), "flat": Flatten(), "fc": Dense(10)})
        )
        assert [row.output for row in table] == [(8, 28, 28), (8, 14, 14), (1568,), (10,)]
        assert [row.memory_bytes for row in table] == [4 * 6272, 4 * 1568, 0, 40]
        assert table[-1].fields[0] == ReceptiveField(32, 2, 15.5)  # 6 + 13 * 2, centre of 0..31
        assert totals(table).parameters == 8 * 76 + 1568 * 10 + 10

    def test_a_unit_counts_as_its_layers_together(self):
        relu = Activation("relu")
        apart = rows(
            Network((3, 9, 9), {"conv": Conv(8, 3, 2, bias=False), "norm": BatchNorm(), "relu": relu})
        )
        (unit,) = rows(Network((3, 9, 9), {"unit": Unit((Conv(8, 3, 2, bias=False), BatchNorm(), relu))}))
        assert unit.kind == "conv 3x3/2 + batch norm + relu"
        assert totals([unit]) == totals(apart)
        assert (unit.output, unit.fields) == (apart[-1].output, apart[-1].fields)

    def test_a_unit_of_two_windows_sees_what_they_see_in_turn(self):
        chain = {"first": Conv(4, 3, 2, 1), "second": Pool(3, 2, 1)}
        (unit,) = rows(Network((3, 33, 33), {"unit": Unit(tuple(chain.values()))}))
        assert unit.fields == rows(Network((3, 33, 33), chain))[-1].fields

    def test_concatenated_branches(self):
        split = Branches(
            "concatenate", ({"a": Conv(4, 1)}, {"b": Conv(2, 1), "c": Conv(5, 3, padding=1)}, {})
        )
        (row,) = rows(Network((3, 8, 8), {"block": split}))
        assert row.output == (4 + 5 + 3, 8, 8)
        assert row.parameters == 4 * 4 + 2 * 4 + 5 * 19
        assert row.memory_bytes == 4 * 64 * (4 + 2 + 5)
        assert row.fields[0] == ReceptiveField(3, 1, 0.0)
        assert [len(branch) for branch in row.branches] == [1, 2, 0]

    def test_added_branches_must_agree(self):
        skip = Branches("add", ({"conv": Conv(3, 3, padding=1)}, {}))
        assert rows(Network((3, 8, 8), {"block": skip}))[0].output == (3, 8, 8)
        with pytest.raises(
            ConvlabError, match=r"block: branches of shapes \(3, 6, 6\), \(3, 8, 8\) cannot add"
        ):
            rows(Network((3, 8, 8), {"block": Branches("add", ({"conv": Conv(3, 3)}, {}))}))

    def test_an_error_names_the_layer(self):
        with pytest.raises(ConvlabError, match="c3: a window of 5 does not fit into 2 pixels"):
            rows(Network((1, 8, 8), {"c1": Conv(6, 5), "s2": Pool(2), "c3": Conv(16, 5)}))

    def test_a_vector_has_no_receptive_field(self):
        assert rows(Network((784,), {"fc": Dense(10)}))[0].fields is None

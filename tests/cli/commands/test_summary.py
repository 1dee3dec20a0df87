"""`convlab summary`: every table against the live module, and the command itself."""

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import convlab  # noqa: F401  declares torchvision's operators before timm needs them
from convlab.arithmetic import table as summary
from convlab.arithmetic.effect import Shape
from convlab.arithmetic.network import Network, Row, rows, totals
from convlab.base.errors import ConvlabError
from convlab.cli.commands.summary import UNSET, run
from convlab.models.architectures import ARCHITECTURES

PROJECT = Path(__file__).parents[3]
MODELS = sorted(path.stem for path in (PROJECT / "conf" / "model").glob("*.yaml") if path.stem != "own")
SMALL = ["convnet", "fully_connected", "lenet", "lenet5", "lenet5_1998", "linear_head", "mlp_head"]
# What torch's counter sees beside ours: the zeros in C3's gaps, but neither what subsampling multiplies
# (one a unit of S2 and S4) nor the distances of the output.
UNLIKE_TORCH = {"lenet5_1998": 36 * 25 * 100 - 6 * 14 * 14 - 16 * 5 * 5 - 84 * 10}


@pytest.fixture(autouse=True)
def _in_project(monkeypatch):
    monkeypatch.setenv("CONVLAB_PROJECT", str(PROJECT))


@pytest.fixture(scope="module")
def inception():
    import timm

    with torch.device("meta"):
        return timm.create_model("inception_v3", pretrained=False, num_classes=0).eval()


@pytest.fixture(scope="module")
def inception_network(inception):
    from convlab.models.describe import network_of

    return network_of(inception, (3, 299, 299))


def arguments_of(model: str) -> dict[str, Any]:
    """conf/model/<model>.yaml with the sizes that a data set would fill in."""
    config = OmegaConf.load(PROJECT / "conf" / "model" / f"{model}.yaml")
    values = OmegaConf.to_container(config, resolve=True)  # a backbone is Inception-v3 where none is chosen
    return {key: UNSET.get(key) if value is None else value for key, value in values.items()}


def live(model: str) -> nn.Module:
    return instantiate(arguments_of(model), _convert_="all").eval()


def described(model: str) -> Network:
    arguments = arguments_of(model)
    return ARCHITECTURES[arguments.pop("_target_")](**arguments)


def leaves(table: list[Row]) -> Iterator[Row]:
    for row in table:
        yield from leaves([line for branch in row.branches for line in branch]) if row.branches else [row]


def hooked_shapes(module: nn.Module, shape: Shape) -> dict[str, tuple[Shape, Shape]]:
    """Input and output of every part of `module` in a forward pass, without the batch dimension."""
    seen = {}

    def note(name):
        return lambda _, inputs, output: seen.update({name: (inputs[0].shape[1:], output.shape[1:])})

    hooks = [part.register_forward_hook(note(name)) for name, part in module.named_modules() if name]
    device = next(module.parameters()).device
    module(torch.zeros(1, *shape, device=device))
    for hook in hooks:
        hook.remove()
    return {name: (tuple(given), tuple(made)) for name, (given, made) in seen.items()}


def assert_agrees(network: Network, module: nn.Module, unlike_torch: int = 0) -> None:
    """Shapes by hooks, parameters by counting them, multiply-adds by torch's own counter."""
    table = rows(network)
    shapes = hooked_shapes(module, network.input)
    parts = dict(module.named_modules())
    checked = 0
    for row in leaves(table):
        if row.name in parts:
            assert (row.input, row.output) == shapes[row.name], row.name
            assert row.parameters == sum(p.numel() for p in parts[row.name].parameters()), row.name
            checked += 1
    assert checked >= len([part for part in parts.values() if isinstance(part, nn.Conv2d | nn.Linear)])
    assert totals(table).parameters == sum(p.numel() for p in module.parameters())
    device = next(module.parameters()).device
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, *network.input, device=device))
    assert 2 * (totals(table).multiply_adds + unlike_torch) == counter.get_total_flops()


class TestSmallNetworks:
    def test_all_of_conf_are_here(self):
        assert set(SMALL) <= set(MODELS)

    @pytest.mark.parametrize("model", SMALL)
    def test_the_description_is_the_module(self, model):
        from convlab.models.describe import network_of

        network, module = described(model), live(model)
        traced = network_of(module, network.input)
        assert list(traced.layers.items()) == list(network.layers.items())
        assert_agrees(network, module, UNLIKE_TORCH.get(model, 0))

    def test_vgg16_s_description_is_the_module(self):
        """On the meta device, where 138 million weights cost nothing."""
        from convlab.models.describe import network_of
        from convlab.models.vgg import VGG16

        with torch.device("meta"):
            module = VGG16().eval()
        network = described("vgg16")
        assert list(network_of(module, network.input).layers.items()) == list(network.layers.items())
        assert_agrees(network, module)
        assert totals(rows(network)).parameters == 138_357_544

    @pytest.mark.parametrize("target", list(ARCHITECTURES))
    def test_the_description_takes_the_module_s_arguments(self, target):
        module, name = target.rsplit(".", 1)
        constructor = getattr(importlib.import_module(module), name)
        taken = inspect.signature(constructor).parameters.values()
        assert [
            (p.name, p.default) for p in inspect.signature(ARCHITECTURES[target]).parameters.values()
        ] == [(p.name, p.default) for p in taken]

    def test_lenet5_as_published(self):
        table = {row.name: row for row in rows(described("lenet5"))}
        counts = {name: (row.parameters, row.connections) for name, row in table.items() if row.parameters}
        assert counts == {
            "c1": (156, 122_304),
            "c3": (2_416, 241_600),
            "c5": (48_120, 48_120),
            "f6": (10_164, 10_164),
            "output": (850, 850),
        }
        assert totals(list(table.values())).parameters == 61_706
        assert table["s2"].output == (6, 14, 14)
        assert table["s4"].output == (16, 5, 5)
        assert table["c5"].fields[0].size == 32

    def test_lenet5_1998_as_published(self):
        table = {row.name: row for row in rows(described("lenet5_1998"))}
        counts = {name: (row.parameters, row.connections) for name, row in table.items() if row.connections}
        assert counts == {
            "c1": (156, 122_304),
            "s2": (12, 5_880),
            "c3": (1_516, 151_600),
            "s4": (32, 2_000),
            "c5": (48_120, 48_120),
            "f6": (10_164, 10_164),
            "output": (0, 840),
        }
        total = totals(list(table.values()))
        assert (total.parameters, total.connections) == (60_000, 340_908)

    def test_totals_by_hand(self):
        assert (
            totals(rows(described("fully_connected"))).parameters
            == 784 * 500 + 500 + 500 * 10 + 10
            == 397_510
        )
        lenet = 26 * 32 + (25 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 512 + 513 * 10
        assert totals(rows(described("lenet"))).parameters == lenet == 1_663_370


class TestInception:
    def test_agrees_with_the_live_module(self, inception, inception_network):
        assert_agrees(inception_network, inception)

    def test_ends_in_the_bottleneck(self, inception_network):
        table = rows(inception_network)
        assert table[-1].output == (2048,)
        assert totals(table).parameters == 21_785_568  # 23,834,568 with its 1,000 classes (2,049,000)

    def test_branches(self, inception_network):
        blocks = {row.name: row for row in rows(inception_network) if row.branches}
        names = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
        assert list(blocks) == [f"Mixed_{name}" for name in names]
        assert {name: len(row.branches) for name, row in blocks.items() if len(row.branches) != 4} == {
            "Mixed_6a": 3,
            "Mixed_7a": 3,
        }
        assert [row.name for row in blocks["Mixed_5b"].branches[3]] == [
            "Mixed_5b.avg_pool2d",
            "Mixed_5b.branch_pool",
        ]
        fork = blocks["Mixed_7c"].branches[1][-1]  # the 1x3 and 3x1 side by side
        assert [[row.kind[:8] for row in branch] for branch in fork.branches] == [["conv 1x3"], ["conv 3x1"]]

    def test_receptive_field_as_published(self, inception_network):
        """Araujo et al. (2019): 1311 pixels, stride 32, padding 618 for Inception-v3's last maps."""
        last_maps = next(row for row in rows(inception_network) if row.name == "Mixed_7c")
        for field in last_maps.fields:
            assert (field.size, field.stride, (field.size - 1) / 2 - field.offset) == (1311, 32, 618)


class TestLiveModules:
    @pytest.mark.parametrize("architecture", ["resnet10t", "resnet18"])
    def test_skip_connections(self, architecture):
        import timm

        from convlab.models.describe import network_of

        with torch.device("meta"):
            module = timm.create_model(architecture, pretrained=False, num_classes=0).eval()
        network = network_of(module, (3, 96, 96))
        assert_agrees(network, module)
        assert [row.kind for row in rows(network) if row.branches] == ["add"] * (
            4 if "10" in architecture else 8
        )

    def test_functions_and_branches_by_hand(self):
        class Forked(nn.Module):
            def __init__(self):
                super().__init__()
                self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, (1, 3), padding=(0, 1))

            def forward(self, image):
                maps = torch.relu(self.left(image)) + self.right(image)
                return torch.flatten(nn.functional.max_pool2d(maps, 2), 1)

        from convlab.models.describe import network_of

        block, pool, flat = rows(network_of(Forked(), (3, 8, 8)))
        assert [[row.kind for row in branch] for branch in block.branches] == [
            ["conv 1x1", "relu"],
            ["conv 1x3, pad 0x1"],
        ]
        assert (block.kind, block.output, pool.output, flat.output) == ("add", (4, 8, 8), (4, 4, 4), (64,))
        assert [field.size for field in block.fields] == [1, 3]

    def test_global_average_keeps_the_shape_that_torch_gives_it(self):
        from convlab.models.describe import network_of

        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        assert_agrees(network_of(module, (3, 8, 9)), module)

    def test_a_module_that_runs_twice_has_two_rows(self):
        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second, self.relu = nn.Linear(3, 4), nn.Linear(4, 5), nn.ReLU()

            def forward(self, values):
                return self.relu(self.second(self.relu(self.first(values))))

        from convlab.models.describe import network_of

        table = rows(network_of(Twice(), (3,)))
        assert [(row.name, row.output) for row in table] == [
            ("first", (4,)),
            ("relu", (4,)),
            ("second", (5,)),
            ("relu_1", (5,)),
        ]

    def test_branches_joined_along_the_height_are_refused(self):
        class Stacked(nn.Module):
            def __init__(self):
                super().__init__()
                self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

            def forward(self, image):
                return torch.cat([self.left(image), self.right(image)], 2)

        from convlab.models.describe import network_of

        with pytest.raises(ConvlabError, match=r"branches meet in .*cat.* 2\)"):
            network_of(Stacked(), (3, 8, 8))

    def test_what_cannot_be_described_is_refused(self):
        from convlab.models.describe import network_of

        with pytest.raises(ConvlabError, match="does not know the layer Bilinear"):
            network_of(nn.Sequential(nn.Bilinear(2, 2, 2)), (2,))
        with pytest.raises(
            ConvlabError, match=r"LeNet has 1,663,370 parameters, .* \(1, 32, 32\) .* 2,154,890"
        ):
            network_of(live("lenet"), (1, 32, 32))


class TestCommand:
    def printed(self, capsys, *args: str) -> str:
        assert run(list(args)) == 0
        return capsys.readouterr().out

    def test_imports_neither_torch_nor_pydantic(self):
        """Each would take longer than the table."""
        program = (
            "import sys; from convlab.cli.main import main\n"
            "status = main(['summary', 'model=lenet5', '--json']);"
            "heavy = {'torch', 'pydantic'} & set(sys.modules);"
            "sys.exit(f'imported: {heavy}' if heavy else status)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["totals"]["parameters"] == 61_706

    @pytest.mark.parametrize("model", MODELS)
    def test_every_model_as_json(self, capsys, model):
        found = json.loads(self.printed(capsys, f"model={model}", "--json"))
        assert found["model"] == model
        assert found["totals"]["parameters"] == sum(p.numel() for p in live(model).parameters())

    def test_json_holds_the_row(self, capsys):
        found = json.loads(self.printed(capsys, "model=lenet5", "--json"))
        assert (found["input"], found["assumed"]) == ([1, 32, 32], {})
        assert found["layers"][2] == {
            "name": "s2",
            "kind": "max pool 2x2/2",
            "input": [6, 28, 28],
            "output": [6, 14, 14],
            "parameters": 0,
            "connections": 4704,
            "multiply_adds": 0,
            "memory_bytes": 4704,
            "receptive_field": {"size": [6, 6], "stride": [2, 2], "offset": [2.5, 2.5]},
        }

    def test_a_finetuned_network_is_its_backbone_and_head(self, capsys):
        found = json.loads(self.printed(capsys, "model=finetuned", "--json"))
        assert (found["input"], found["assumed"]) == ([3, 299, 299], {"num_classes": 5})
        assert found["totals"]["parameters"] == 21_785_568 + 2049 * 5
        assert [layer["name"] for layer in found["layers"]][-5:] == [
            "backbone.Mixed_7c",
            "backbone.global_pool",
            "backbone.head_drop",
            "head.dropout",
            "head.fc",
        ]
        words = ("model=finetuned", "backbone=resnet18_random", "model.num_classes=2")
        found = json.loads(self.printed(capsys, *words, "--json"))
        assert (found["input"], found["assumed"]) == ([3, 64, 64], {})
        assert found["totals"]["parameters"] == 11_176_512 + 513 * 2

    def test_overrides_reach_the_network(self, capsys):
        found = json.loads(self.printed(capsys, "model=fully_connected", "--json", "model.hidden=300"))
        assert found["totals"]["parameters"] == 785 * 300 + 301 * 10

    def test_an_experiment_names_its_model(self, capsys):
        found = json.loads(self.printed(capsys, "experiment=lenet5", "--json"))
        assert found["totals"]["parameters"] == 61_706

    def test_a_head_s_unset_sizes_are_assumed_aloud(self, capsys):
        assert "model.num_inputs=2048 is assumed" in self.printed(capsys, "model=linear_head")
        words = ("model=linear_head", "model.num_inputs=512", "model.num_classes=2")
        assert "assumed:" not in self.printed(capsys, *words)
        assert json.loads(self.printed(capsys, *words, "--json"))["totals"]["parameters"] == 513 * 2

    def test_markdown_is_one_table(self, capsys):
        lines = self.printed(capsys, "model=lenet5", "--markdown").strip().splitlines()
        cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
        assert {len(line) for line in cells} == {9}
        assert set("".join(cells[1])) == {"-"}
        assert cells[2] == [
            "c1",
            "conv 5x5",
            "1x32x32",
            "6x28x28",
            "156",
            "122,304",
            "117,600",
            "5/1/2",
            "18.8 kB",
        ]
        assert cells[-1] == ["total", "", "", "", "61,706", "429,342", "416,520", "", "32.4 kB"]

    def test_the_page_shows_what_the_command_prints(self, capsys):
        page = (PROJECT / "docs" / "arithmetic.md").read_text()
        table = self.printed(capsys, "model=lenet5", "--markdown").strip().splitlines()
        assert "\n".join(line.strip() for line in table) in page

    def test_the_table_in_a_file_folds_nothing(self, capsys):
        text = self.printed(capsys, "model=lenet")
        assert [line for line in text.splitlines() if line.split()[:3] == ["conv2", "conv", "5x5,"]]
        assert "1,663,370" in text

    def test_inception_is_drawn_as_a_tree(self, capsys, inception_network):
        from rich.console import Console

        Console(width=1000).print(summary.table(inception_network))
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        start = next(number for number, line in enumerate(lines) if line.startswith(" Mixed_7c"))
        assert [line[:24].rstrip() for line in lines[start : start + 13]] == [
            " Mixed_7c",
            " ├─ branch1x1",
            " ├─ branch3x3_1",
            " │  cat_12",
            " │  ├─ branch3x3_2a",
            " │  └─ branch3x3_2b",
            " ├─ branch3x3dbl_1",
            " │  branch3x3dbl_2",
            " │  cat_13",
            " │  ├─ branch3x3dbl_3a",
            " │  └─ branch3x3dbl_3b",
            " └─ avg_pool2d_8",
            "    branch_pool",
        ]

    @pytest.mark.parametrize("group", ["model", "backbone"])
    def test_a_backbone(self, capsys, group):
        found = json.loads(self.printed(capsys, f"{group}=inception_v3", "--json"))
        assert found["input"] == [3, 299, 299]
        assert found["layers"][-2]["output"] == [2048]
        assert found["totals"]["parameters"] == 21_785_568

    def test_a_network_of_one_s_own_is_traced(self, capsys):
        layers = (
            "{_target_: torch.nn.Flatten}, {_target_: torch.nn.Linear, in_features: 784, out_features: 10}"
        )
        without = [f"~model.{key}" for key in ("num_inputs", "hidden", "num_classes")]
        words = ("model=fully_connected", *without, "model._target_=torch.nn.Sequential")
        words = (*words, f"+model._args_=[{layers}]")
        with pytest.raises(ConvlabError, match=r"say what it takes, for instance input=1,28,28"):
            run(list(words))
        found = json.loads(self.printed(capsys, *words, "input=1,28,28", "--json"))
        assert found["totals"]["parameters"] == 7850

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["model=lenet6"], "there is no model 'lenet6'. Did you mean 'lenet' or 'lenet5'"),
            (["model=lenet5", "model.num_clases=3"], "Did you mean 'model.num_classes'"),
            (["model=lenet5", "+model.drop=0.5"], "unexpected keyword argument 'drop'"),
            (["backbone=none"], "backbone=none is not a network"),
            (["model=lenet5", "input=1,32"], "input=1,32: expected channels,height,width"),
            (["model=lenet5", "input=1,28,28"], "c5: a window of 5 does not fit into 4 pixels"),
        ],
    )
    def test_mistakes_are_explained(self, words, message):
        with pytest.raises(ConvlabError) as error:
            run(words)
        assert message in str(error.value)

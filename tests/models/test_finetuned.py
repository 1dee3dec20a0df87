"""A pretrained network trained on: what is frozen stays, what is cached changes nothing."""

import copy
import functools
import json

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from tiny_training import fit
from torch import nn

from convlab.base import provenance
from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.cli.commands import train
from convlab.data.batches import Batches
from convlab.features.backbone import Backbone
from convlab.models import saved
from convlab.models.finetuned import Finetuned, is_block, parts_in_order
from convlab.models.heads import LinearHead
from convlab.models.initialization import pretrained
from convlab.runs import model_file
from convlab.training.classifier import Classifier
from convlab.training.evaluation import evaluate

SMALL = "test_resnet"  # timm's smallest; its first convolution is a stem of three, so that it has five blocks
OPTIONS = {
    "zero_init_last": False
}  # or the random network's blocks would pass their input on, and learn nothing
BLOCKS = ["conv1", "layer1", "layer2", "layer3", "layer4"]


def small(**arguments) -> Finetuned:
    torch.manual_seed(0)
    return Finetuned(SMALL, 2, options=OPTIONS, **arguments)


def images(number: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(number, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def count_calls(part: nn.Module) -> list[int]:
    """Grows by the size of each batch that runs through `part`."""
    sizes = []
    part.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    return sizes


class TestBlocks:
    def test_inception_s_are_the_mixed_ones(self):
        with torch.device("meta"):
            network = Finetuned("inception_v3", 5, unfrozen_blocks=2)
        names = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
        assert network.blocks == [f"Mixed_{name}" for name in names]
        trained = {name.split(".")[0] for name, p in network.backbone.named_parameters() if p.requires_grad}
        assert trained == {"Mixed_7b", "Mixed_7c"}
        assert network(torch.zeros(2, *network.input_shape, device="meta")).shape == (2, 5)

    @pytest.mark.parametrize(
        ("architecture", "blocks"), [("resnet18", BLOCKS[1:]), (SMALL, BLOCKS), ("vgg11_bn", None)]
    )
    def test_of_other_networks(self, architecture, blocks):
        with torch.device("meta"):
            backbone = Backbone("b", architecture).model
        parts = parts_in_order(backbone)
        found = [name for name in parts if is_block(backbone.get_submodule(name))]
        assert found == (blocks or ["features", "pre_logits"])

    def test_more_than_there_are_is_refused(self):
        with pytest.raises(
            ConvlabError, match=r"unfrozen_blocks=6: test_resnet has 5 blocks \(conv1, layer1"
        ):
            small(unfrozen_blocks=6)
        with pytest.raises(ConvlabError, match="Choose 0 to 5"):
            small(unfrozen_blocks=-1)

    def test_a_network_that_is_no_chain_is_refused(self):
        class Forked(nn.Module):
            def __init__(self):
                super().__init__()
                self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

            def forward(self, maps):
                return self.left(maps) + self.right(maps)

        with pytest.raises(ConvlabError, match="Forked is not a chain of blocks"):
            parts_in_order(Forked())
        with pytest.raises(ConvlabError, match="cannot be taken apart"), torch.device("meta"):
            Finetuned("test_vit", 2)


class TestForward:
    @pytest.mark.parametrize("unfrozen_blocks", [0, 1, 5])
    @pytest.mark.parametrize("cache_gib", [0.0, 1.0])
    def test_is_timm_s_own_and_the_head(self, unfrozen_blocks, cache_gib):
        network = small(unfrozen_blocks=unfrozen_blocks, cache_gib=cache_gib).eval()
        batch = images(3)
        expected = torch.cat([network.head(network.backbone(image[None])) for image in batch])
        for _ in range(2):  # computed, and remembered
            torch.testing.assert_close(network(batch), expected, rtol=1e-5, atol=1e-6)

    def test_what_is_cached_is_computed_once_and_whatever_the_batch(self):
        network = small(cache_gib=1.0).eval()
        sizes, batch = count_calls(network.backbone.conv1), images(4)
        first = network(batch)
        assert sizes == [1, 1, 1, 1]
        assert torch.equal(network(batch), first)
        assert sizes == [1, 1, 1, 1]
        fresh = small(cache_gib=1.0).eval()
        maps = torch.cat([fresh._frozen_maps(image)[None] for image in batch.flip(0)]).flip(0)
        assert torch.equal(maps, torch.stack([network._frozen_maps(image) for image in batch]))

    def test_a_full_cache_takes_no_more(self):
        network = small().eval()
        room = network._run(network._frozen, images(1)).nbytes
        network = small(cache_gib=2.5 * room / 1024**3).eval()
        network(images(4))
        sizes = count_calls(network.backbone.conv1)
        network(images(4))
        assert sizes == [1, 1]

    def test_other_weights_make_the_cache_void(self):
        network, other = small(cache_gib=1.0).eval(), small().eval()
        batch = images(2)
        network(batch)
        for parameter in other.backbone.conv1.parameters():
            parameter.data.mul_(2)
        for change in (network.load_state_dict, lambda s: network.backbone.load_state_dict(sliced(s))):
            change(other.state_dict())
            torch.testing.assert_close(network(batch), other(batch))
            change(small().state_dict())
            torch.testing.assert_close(network(batch), small().eval()(batch))
        assert copy.deepcopy(network).backbone is not network.backbone

    def test_gradients_reach_the_images(self):
        network = small(cache_gib=1.0).eval()
        batch = images(2).requires_grad_()
        network(batch)[:, 1].sum().backward()
        assert (batch.grad.abs().amax((1, 2, 3)) > 0).all()


def sliced(state):
    return {name.removeprefix("backbone."): t for name, t in state.items() if name.startswith("backbone.")}


class Noise(pl.LightningDataModule):
    def train_dataloader(self):
        return Batches(images(12), torch.arange(12) % 2, 4, shuffle_seed=1)

    def val_dataloader(self):
        return Batches(images(4, seed=1), torch.arange(4) % 2, 4)


class TestTraining:
    def fitted(self, **arguments):
        network = small(unfrozen_blocks=2, **arguments)
        before = copy.deepcopy(network.state_dict())
        optimizer = functools.partial(torch.optim.SGD, lr=0.1)
        fit(Classifier(network, 2, optimizer, backbone_lr=0.01), Noise(), max_epochs=2)
        return before, network.state_dict(), network

    def test_only_the_last_blocks_and_the_head_learn(self):
        before, after, network = self.fitted()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        convolutions = {
            f"backbone.{name}.weight"
            for name, layer in network.backbone.named_modules()
            if isinstance(layer, nn.Conv2d) and name.startswith(("layer3", "layer4"))
        }
        assert changed == convolutions | {"head.fc.weight", "head.fc.bias"}  # no batch norm, no statistic
        assert len(convolutions) == 7

    def test_the_cache_changes_nothing(self):
        _, plain, _ = self.fitted()
        _, cached, _ = self.fitted(cache_gib=1.0)
        for name, tensor in plain.items():
            torch.testing.assert_close(cached[name], tensor, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("schedule", [None, "onecycle"])
    def test_the_backbone_has_its_own_rate(self, schedule):
        network = small()
        scheduler = functools.partial(
            torch.optim.lr_scheduler.OneCycleLR, max_lr=0.4, total_steps=10, div_factor=10.0
        )
        classifier = Classifier(
            network,
            2,
            functools.partial(torch.optim.SGD, lr=0.2, momentum=0.9, weight_decay=0.3),
            scheduler if schedule else None,
            backbone_lr=0.02,
        )
        made = classifier.configure_optimizers()
        optimizer = made["optimizer"] if schedule else made
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        groups = [sorted(names[id(p)] for p in group["params"]) for group in optimizer.param_groups]
        assert groups[:2] == [["head.fc.weight"], ["head.fc.bias"]]
        assert all(name.startswith("backbone.layer4.") for name in groups[2])
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0, 0.3]
        if not schedule:
            assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2, 0.02]
        else:  # max_lr 0.4 is twice the optimizer's rate, so the backbone's is twice its own
            assert [group["max_lr"] for group in optimizer.param_groups] == pytest.approx([0.4, 0.4, 0.04])
            assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.04, 0.04, 0.004])


class TestPretrained:
    @pytest.fixture
    def weights(self, project):
        """weights/small/model.safetensors: half precision, with a classifier, and a note on its origin."""
        folder = project / "weights" / "small"
        folder.mkdir(parents=True)
        state = Backbone("b", SMALL, seed=7, options=OPTIONS).model.half().state_dict()
        state = {name: tensor.contiguous() for name, tensor in state.items()} | {
            "fc.weight": torch.ones(9, 96)
        }
        save_file(state, folder / "model.safetensors")
        origin = {"sha256": "0", "bytes": 1, "origin": "here", "substitute": "made up"}
        provenance.write(folder, {"small.safetensors": origin})
        return "weights/small/model.safetensors"

    def test_the_backbone_starts_from_the_file(self, project, weights):
        network = small()
        head = network.head.fc.weight.clone()
        origin = pretrained(network, weights)
        expected = Backbone("b", SMALL, seed=7, options=OPTIONS).model.state_dict()
        for name, tensor in network.backbone.state_dict().items():
            assert torch.equal(tensor, expected[name].half().to(tensor.dtype)), name
        assert torch.equal(network.head.fc.weight, head)
        assert origin == {
            "backbone_hash": file_hash(project / weights),
            "substitutes": ["small.safetensors: made up"],
        }

    def test_null_keeps_the_backbone_s_random_weights(self, project):
        network = small()
        assert pretrained(network, None) == {}
        assert torch.equal(
            network.backbone.conv1[0].weight, Backbone("b", SMALL, options=OPTIONS).model.conv1[0].weight
        )

    def test_mistakes_are_explained(self, project, weights):
        with pytest.raises(ConvlabError, match="LinearHead has no backbone"):
            pretrained(LinearHead(3, 2), weights)
        with pytest.raises(ConvlabError, match=r"there are no weights .*other\.safetensors.*convlab fetch"):
            pretrained(small(), "weights/other.safetensors")
        with pytest.raises(ConvlabError, match="does not hold the weights of timm's ResNet"):
            pretrained(Finetuned("resnet18", 2), weights)

    def test_a_run_learns_is_measured_and_needs_no_weights_file(self, project, weights):
        words = ["experiment=flowers_finetune", "data=patches_pixels", "backbone=resnet18_random"]
        words += [f"backbone.architecture={SMALL}", "backbone.preprocessing.size=32"]
        words += [f"backbone.weights={weights}", "logger=none", "name=tuned"]
        words += ["+backbone.options.zero_init_last=false", "optimizer.lr=0.01", "trainer.max_epochs=20"]
        assert train.run(words) == 0
        run_dir = project / "runs" / "tuned"
        found = model_file.read(run_dir / "model")
        lineage = json.loads((run_dir / "run.json").read_text())["lineage"]
        assert found.lineage["backbone_hash"] == file_hash(project / weights)
        assert lineage["substitutes"] == ["small.safetensors: made up"]
        (project / weights).unlink()
        metrics = evaluate(run_dir)
        assert metrics["test"]["acc"] > 0.8  # of 35 patches; half of them by guessing
        network = saved.load(run_dir / "model")
        start = Backbone("b", SMALL, seed=7, options=OPTIONS).model.state_dict()
        tuned = network.backbone.state_dict()
        same = {name for name in start if torch.equal(tuned[name], start[name].half().to(tuned[name].dtype))}
        assert {name.split(".")[0] for name in set(start) - same} == {"layer4"}

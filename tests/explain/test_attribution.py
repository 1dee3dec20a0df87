"""Attributions by hand, by their axioms, and through networks with branches."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.cli.commands import features, train, visualize
from convlab.explain.attribution import grad_cam, guided_grad_cam, integrated_gradients, last_maps
from convlab.figures.attribution import Explained, attribution
from convlab.models.finetuned import Finetuned
from convlab.models.heads import LinearHead
from convlab.models.lenet import LeNet

SMALL = "test_resnet"  # timm's smallest; its ReLUs write over their inputs


class Branched(nn.Module):
    """Two branches, average pooling, concatenation, batch norm: what has no deconvolutional network."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.right = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
        self.last = nn.Conv2d(8, 6, 3)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6, 3)
        nn.init.normal_(self.left[1].running_mean)

    def forward(self, images):
        maps = torch.cat([self.left(images), self.right(images)], dim=1)
        return self.fc(self.relu(self.last(maps)).mean((2, 3)))


def small() -> Finetuned:
    torch.manual_seed(0)
    return Finetuned(SMALL, 3, options={"zero_init_last": False}, cache_gib=0.1).eval()


def noise(number: int = 2) -> torch.Tensor:
    return torch.randn(number, 3, 24, 24, generator=torch.Generator().manual_seed(1))


class TestIntegratedGradients:
    @pytest.mark.parametrize("network", [Branched(), small(), LeNet()], ids=["branched", "timm", "lenet"])
    def test_sum_to_the_rise_of_the_logit(self, network):
        """Completeness: of the target, for every image, over its own baseline."""
        network.eval()
        images = torch.rand(2, 1, 28, 28) if isinstance(network, LeNet) else noise()
        baselines, targets = torch.full_like(images, -0.3), torch.tensor([2, 0])
        for name, parameter in network.named_parameters():
            if name.endswith(("fc.weight", "fc2.weight")):
                parameter.data.mul_(100)  # so that rounding is small beside what there is to see
        shares = integrated_gradients(network, images, targets, baselines, steps=200)
        with torch.no_grad():
            rise = network(images) - network(baselines)
        expected = rise.gather(1, targets[:, None])[:, 0]
        assert expected.abs().min() > 0.1
        torch.testing.assert_close(shares.sum((1, 2, 3)), expected, rtol=0.02, atol=0.02)

    def test_of_a_linear_network_are_weight_times_difference(self):
        network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=True))
        network[1].weight.data = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, -8]])
        image, baseline = torch.tensor([2.0, 0, 1, 1]), torch.tensor([1.0, 0, 0, 3])
        shares = integrated_gradients(
            network, image.view(1, 1, 2, 2), torch.tensor([1]), baseline.view(1, 1, 2, 2), steps=5
        )
        assert shares.flatten().tolist() == pytest.approx([5, 0, 7, 16])


class TestGradCam:
    def test_by_hand(self):
        """Two maps of 2x2 from one channel: the image, and its opposite plus 3; logits of their means.

        Image 1 2 / 3 4, maps A = 1 2 / 3 4 and B = 2 1 / 0 0 (after ReLU), logit = 2 mean(A) - 4 mean(B). The
        gradient of the logit is 2/4 at each place of A, -1 at each of B: weights 0.5 and -1.
        0.5 A - B = -1.5 0 / 1.5 2, rectified 0 0 / 1.5 2.
        """
        network = nn.Sequential()
        network.conv, network.relu = nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True)
        network.pool, network.flatten, network.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
        network.conv.weight.data, network.conv.bias.data = (
            torch.tensor([1.0, -1]).view(2, 1, 1, 1),
            torch.tensor([0.0, 3]),
        )
        network.fc.weight.data, network.fc.bias.data = torch.tensor([[0.0, 0], [2, -4]]), torch.zeros(2)
        image = torch.tensor([1.0, 2, 3, 4]).view(1, 1, 2, 2)
        assert grad_cam(network, image, torch.tensor([1]), "relu").flatten().tolist() == [0, 0, 1.5, 2]
        # before the ReLU, B = 2 1 / 0 -1, and its gradient is -1 -1 / 0 0: 0.5 A - 0.5 B = -0.5 0.5 / 1.5 2.5
        assert grad_cam(network, image, torch.tensor([1]), "conv").flatten().tolist() == [0, 0.5, 1.5, 2.5]
        # guided: B's gradient is negative and stops; A's 0.5 reaches each pixel, through the weight 1
        guided = guided_grad_cam(network, image, torch.tensor([1]), "relu")
        assert guided.flatten().tolist() == [0, 0, 0.75, 1.0]

    def test_is_enlarged_to_the_image(self):
        network = small()
        maps = grad_cam(network, noise(), torch.tensor([0, 1]))
        assert maps.shape == (2, 1, 24, 24)
        assert (maps >= 0).all()
        assert maps.amax((1, 2, 3)).max() > 0

    def test_looks_at_the_last_maps(self):
        assert last_maps(small()) == "backbone.layer4"
        assert last_maps(LeNet()) == "conv2"
        with torch.device("meta"):
            assert last_maps(Finetuned("inception_v3", 5)) == "backbone.Mixed_7c"
        with pytest.raises(ConvlabError, match="LinearHead has no convolution"):
            last_maps(LinearHead(4, 2))


class TestGuided:
    def test_in_place_and_repeated_relus_are_guided(self):
        """Against a network whose ReLU does it itself: it passes what is positive up and down."""

        class Guided(torch.autograd.Function):
            @staticmethod
            def forward(ctx, inputs):
                ctx.save_for_backward(inputs)
                return inputs.clamp(min=0)

            @staticmethod
            def backward(ctx, gradient):
                (inputs,) = ctx.saved_tensors
                return gradient.clamp(min=0) * (inputs > 0)

        class Repeated(nn.Module):
            def __init__(self, relu):
                super().__init__()
                torch.manual_seed(5)
                self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
                self.fc, self.relu = nn.Linear(8, 2), relu

            def forward(self, images):
                maps = self.relu(self.second(self.relu(self.first(images))))
                return self.fc(maps.mean((2, 3)))

        class GuidedReLU(nn.Module):
            def forward(self, inputs):
                return Guided.apply(inputs)

        images, targets = noise(), torch.tensor([1, 0])
        by_hand = Repeated(GuidedReLU())
        inputs = images.clone().requires_grad_()
        by_hand(inputs).gather(1, targets[:, None]).sum().backward()
        network = Repeated(nn.ReLU(inplace=True))
        cam = grad_cam(network, images, targets, "second")
        guided = guided_grad_cam(network, images, targets, "second")
        assert cam.amax() > 0
        torch.testing.assert_close(guided, cam * inputs.grad)
        assert network.relu.inplace  # the network itself is left as it was

    def test_a_network_without_relu_is_refused(self):
        network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(968, 2))
        with pytest.raises(ConvlabError, match="Sequential has none"):
            guided_grad_cam(network, noise(), torch.tensor([0, 1]), "0")

    def test_branches_need_no_way_back(self):
        guided = guided_grad_cam(Branched().eval(), noise(), torch.tensor([2, 0]), "last")
        assert (guided.abs().amax((1, 2, 3)) > 0).any()
        assert guided.isfinite().all()


def test_the_figure_says_what_was_chosen():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(3, 20, 20)) for _ in range(2)]
    rows = [
        Explained(
            rng.integers(0, 256, (3, 20, 20), dtype=np.uint8), np.zeros((20, 20)), *maps, name, "rose", 0.9996
        )
        for name in ("rose", "daisy")
    ]
    figure = attribution(rows, "two photos")
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"rose 99 %, right", "rose 99 %, but it is daisy", "Grad-CAM", "integrated gradients"} <= texts
    assert len(figure.axes) == 8


@pytest.mark.parametrize("kind", ["head", "finetuned"])
def test_visualize_explains_a_run_on_a_backbone(project, kind):
    data = "patches" if kind == "head" else "patches_pixels"
    backbone = [
        "backbone=resnet18_random",
        f"backbone.architecture={SMALL}",
        "backbone.preprocessing.size=32",
    ]
    words = [f"data={data}", *backbone, "logger=none", "trainer.max_epochs=3", f"name={kind}"]
    if kind == "head":
        assert features.run(words[:4]) == 0
    assert (
        train.run([f"experiment={'patches_linear_head' if kind == 'head' else 'flowers_finetune'}", *words])
        == 0
    )
    assert visualize.run([f"name={kind}", "attribution.steps=64"]) == 0
    directory = project / "runs" / kind / "visualize"
    record = json.loads((directory / "visualize.json").read_text())
    assert [each["file"] for each in record["figures"]] == ["attribution.png"]
    assert record["attribution"]["layer"] == "backbone.layer4"
    shown = record["attribution"]["images"]
    assert {image["class"] for image in shown} == {"china", "flower"}
    assert all(0.5 <= image["probability"] <= 1 for image in shown)
    for image in shown:
        assert image["sum_of_integrated_gradients"] == pytest.approx(
            image["rise_over_black"], rel=0.1, abs=0.05
        )
    with Image.open(directory / "attribution.png") as picture:
        assert picture.width > 1000

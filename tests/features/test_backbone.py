"""timm itself is the independent implementation here, with its smallest model."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from convlab.base.errors import ConvlabError
from convlab.features.backbone import Backbone

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
RANDOM = Backbone("tiny", "test_resnet")


@pytest.fixture(scope="module")
def published() -> torch.nn.Module:
    """A trained model as it is published: batch norm with statistics, and a classifier for ten classes."""
    torch.manual_seed(3)
    model = timm.create_model("test_resnet", num_classes=10)
    model.train()
    with torch.no_grad():
        for _ in range(5):  # gives every batch norm statistics of its own
            model(torch.rand(8, 3, 32, 32) * 2 - 1)
    return model.eval()


def saved(path: Path, state: dict[str, torch.Tensor]) -> Backbone:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return Backbone("tiny", "test_resnet", weights=path)


def reference(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.forward_head(model.forward_features(IMAGES), pre_logits=True)


def vectors(backbone: Backbone) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = backbone.model(IMAGES)
    return found


def test_published_weights_give_timms_features(tmp_path, published):
    found = vectors(saved(tmp_path / "model.safetensors", published.state_dict()))
    assert found.shape == (3, 96)
    assert (found - reference(published)).abs().max() < 1e-5


def test_batch_norm_folded_into_convolutions_gives_the_same_features(tmp_path, published):
    """The fold w' = w g / sqrt(v + e), b' = b - m g / sqrt(v + e) leaves a batch norm that adds b' alone."""
    folded = {name: t for name, t in published.state_dict().items() if not name.startswith("fc.")}
    for name, module in published.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            weight = f"{name}.weight"  # in this model each batch norm comes right after its convolution
        if isinstance(module, torch.nn.BatchNorm2d):
            scale = module.weight / torch.sqrt(module.running_var + module.eps)
            folded[weight] = folded[weight] * scale.view(-1, 1, 1, 1)
            folded[f"{name}.bias"] = module.bias - module.running_mean * scale
            folded[f"{name}.weight"] = torch.ones_like(module.weight)
            folded[f"{name}.running_mean"] = torch.zeros_like(module.running_mean)
            folded[f"{name}.running_var"] = torch.ones_like(module.running_var) - module.eps
    found = vectors(saved(tmp_path / "model.safetensors", folded))
    assert (found - reference(published)).abs().max() < 1e-5


def test_half_precision_files_are_computed_in_float32(tmp_path, published):
    half = {name: t.half() if t.is_floating_point() else t for name, t in published.state_dict().items()}
    backbone = saved(tmp_path / "model.safetensors", half)
    found = vectors(backbone)
    assert {parameter.dtype for parameter in backbone.model.parameters()} == {torch.float32}
    assert found.dtype == torch.float32
    assert (found - reference(published)).abs().max() < 5e-3


def test_files_from_before_torch_counted_batches_load(tmp_path, published):
    old = {n: t for n, t in published.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert len(old) < len(published.state_dict())
    found = vectors(saved(tmp_path / "model.safetensors", old))
    assert (found - reference(published)).abs().max() < 1e-5


def test_weights_that_do_not_fit_are_named(tmp_path, published):
    state = published.state_dict()
    del state["conv1.0.weight"]
    state["stem.weight"] = torch.zeros(1)
    state["bn1.bias"] = torch.zeros(7)
    with pytest.raises(ConvlabError) as caught:
        _ = saved(tmp_path / "model.safetensors", state).model
    for part in (
        "1 missing (conv1.0.weight)",
        "1 unexpected (stem.weight)",
        "1 of another shape (bn1.bias is (7,), expected (32,))",
        "model.safetensors",
    ):
        assert part in str(caught.value)


def test_a_truncated_weights_file_is_named(tmp_path, published):
    backbone = saved(tmp_path / "model.safetensors", published.state_dict())
    backbone.weights.write_bytes(backbone.weights.read_bytes()[:-10])
    with pytest.raises(ConvlabError, match=r"model\.safetensors is not a whole safetensors file"):
        _ = backbone.model


def test_missing_weights_say_how_to_get_them(tmp_path):
    backbone = Backbone("tiny", "test_resnet", weights=tmp_path / "absent.safetensors")
    with pytest.raises(ConvlabError, match=r"no weights .*absent\.safetensors.*convlab fetch tiny"):
        _ = backbone.weights_hash


@pytest.mark.parametrize("name", ["test_resnt", "hf-hub:timm/test_resnet.r160_in1k", "local-dir:/tmp"])
def test_an_unknown_architecture_gets_the_near_matches_and_no_download(name):
    with pytest.raises(ConvlabError, match=f"no model '{name}'"):
        _ = Backbone("tiny", name).model


def test_an_unknown_option_is_named():
    with pytest.raises(ConvlabError, match="deeper"):
        _ = Backbone("tiny", "test_resnet", options={"deeper": True}).model


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(123)
    undisturbed = torch.rand(1)
    torch.manual_seed(123)
    again = vectors(Backbone("other name", "test_resnet", seed=0))
    assert torch.equal(again, vectors(RANDOM))
    assert torch.equal(torch.rand(1), undisturbed)  # the caller's random numbers are left alone
    assert not torch.equal(vectors(Backbone("tiny", "test_resnet", seed=1)), again)


def test_the_weights_hash_tells_weights_apart(tmp_path, published):
    assert Backbone("other name", "test_resnet").weights_hash == RANDOM.weights_hash
    assert Backbone("tiny", "test_resnet", seed=1).weights_hash != RANDOM.weights_hash
    state = published.state_dict()
    first = saved(tmp_path / "a.safetensors", state)
    moved = saved(tmp_path / "b.safetensors", state)
    assert first.weights_hash == moved.weights_hash
    state["conv1.0.weight"] = state["conv1.0.weight"].clone()
    state["conv1.0.weight"][0, 0, 0, 0] += 1e-3
    assert saved(tmp_path / "c.safetensors", state).weights_hash != first.weights_hash


def test_the_identity_names_what_decides_the_vectors():
    backbone = Backbone("tiny", "test_resnet", options={"global_pool": "max"})
    assert backbone.identity() == {
        "architecture": "test_resnet",
        "options": {"global_pool": "max"},
        "weights_hash": backbone.weights_hash,
    }

"""Which method trains which parameter, and what it keeps."""

from __future__ import annotations

import msgspec
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from codesign.training.optimiser import Optimiser, clip
from codesign.training.recipe import Recipe, read_recipe

RECIPE = read_recipe("sotu_smoke").content


def parameters() -> dict[str, nn.Parameter]:
    """Return one of each kind, with gradients."""
    sizes = {"tokens": (6, 4), "layers.0.up.weight": (4, 4), "layers.0.up.bias": (4,), "spans.heads": (2, 2)}
    found = {name: nn.Parameter(torch.ones(size)) for name, size in sizes.items()}
    for parameter in found.values():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    return found


def with_muon(rate: float) -> Recipe:
    """Return the smoke recipe with another learning rate of Muon's."""
    return msgspec.structs.replace(RECIPE, muon=msgspec.structs.replace(RECIPE.muon, learning_rate=rate))


def test_muon_trains_the_matrices_inside_the_layers() -> None:
    """A matrix of a layer keeps a momentum; embeddings, biases and spans keep AdamW's two moments."""
    own = parameters()
    optimiser = Optimiser(own, with_muon(0.01))
    optimiser.step(1.0)
    kept = {name: set(optimiser.state(parameter)) for name, parameter in own.items()}
    adamw = {"step", "exp_avg", "exp_avg_sq"}
    assert kept == {
        "tokens": adamw,
        "layers.0.up.weight": {"momentum_buffer"},
        "layers.0.up.bias": adamw,
        "spans.heads": adamw,
    }


def test_adamw_trains_all_without_muon() -> None:
    """A learning rate of 0 in the table of Muon leaves every parameter to AdamW."""
    own = parameters()
    optimiser = Optimiser(own, with_muon(0.0))
    optimiser.step(1.0)
    assert all("exp_avg" in optimiser.state(parameter) for parameter in own.values())


def test_muon_steps_orthogonally() -> None:
    """The first step of Muon is 0.2 sqrt(larger side) times a nearly orthogonal matrix, however large the gradient."""
    own = parameters()
    own["layers.0.up.weight"].grad *= 1000  # type: ignore[operator]
    before = own["layers.0.up.weight"].detach().clone()
    Optimiser(own, with_muon(0.01)).step(1.0)
    decayed = before * (1 - 0.01 * RECIPE.optimiser.weight_decay)
    step = (decayed - own["layers.0.up.weight"].detach()) / (0.01 * 0.2 * 4**0.5)
    singular = torch.linalg.svdvals(step)
    assert singular.max() < 1.3
    assert singular.min() > 0.5


@given(share=st.floats(0.01, 1.0))
def test_the_share_scales_every_rate(share: float) -> None:
    """The first step at a share of the learning rate is that share of a whole step, for every parameter."""
    whole, part = parameters(), parameters()
    Optimiser(whole, with_muon(0.01)).step(1.0)
    Optimiser(part, with_muon(0.01)).step(share)
    for name, parameter in whole.items():
        full = parameter.detach() - 1
        torch.testing.assert_close(part[name].detach() - 1, share * full, rtol=1e-3, atol=1e-6)


def with_scores() -> dict[str, nn.Parameter]:
    """Return the parameters with movement scores of a matrix beside them, whose gradients are huge."""
    scores = nn.Parameter(torch.ones(4, 4))
    scores.grad = torch.full((4, 4), 1e3)
    return parameters() | {"scores.layers.0.up.weight": scores}


def test_scores_go_down_their_gradient() -> None:
    """They move by the gradient times the share of the schedule, whatever the rates and the decay of the weights."""
    own = with_scores()
    optimiser = Optimiser(own, with_muon(0.01))
    optimiser.step(0.5)
    scores = own["scores.layers.0.up.weight"]
    torch.testing.assert_close(scores.detach(), torch.full((4, 4), 1 - 0.5 * 1e3))
    assert dict(optimiser.state(scores)) == {}


def test_scores_leave_the_weights_to_learn_as_without() -> None:
    """Clipping counts the weights alone, and shortens the gradients of scores by the factor that it finds."""
    without, own = parameters(), with_scores()
    norms = clip(without, 0.5), clip(own, 0.5)
    assert torch.equal(*norms)
    assert norms[0] > 0.5
    for name, parameter in without.items():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, own[name].grad)  # type: ignore[arg-type]
    factor = 0.5 / (norms[0] + 1e-6)
    torch.testing.assert_close(own["scores.layers.0.up.weight"].grad, torch.full((4, 4), 1e3) * factor)

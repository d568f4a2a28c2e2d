"""One sub-network trained from scratch at exactly its size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codesign.elastic.architecture import Architecture
from codesign.elastic.extract import extract
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError
from codesign.parameters import total_parameters
from codesign.training.alone import Alone, architecture_of_setting, train_alone
from codesign.training.data import training_text
from codesign.training.identity import identity_of
from tests.training.conftest import MakeRecipe, Space

PARTS = Architecture(vocabulary=300, context=16, hidden=16, layers=3, heads=2, head_width=8, ffn=32)
UNEVEN = Setting(12, (LayerSetting(2, 0), LayerSetting(0, 24, ffn_density=0.5), LayerSetting(1, 8, span=4)))


@pytest.mark.parametrize("parts", [{}, {"gated_ffn": True}, {"tied_embeddings": False, "norm": "rmsnorm"}])
def test_a_network_has_exactly_its_parameters(parts: dict[str, object]) -> None:
    """Alone, a sub-network has as many parameters as are counted of its shape, removed parts included."""
    architecture = Architecture(**{**{name: getattr(PARTS, name) for name in PARTS.__struct_fields__}, **parts})
    model = Alone(architecture, UNEVEN)
    assert sum(p.numel() for p in model.parameters()) == total_parameters(shape_of(architecture, UNEVEN))[0]


def test_it_is_the_network_that_an_extraction_is() -> None:
    """The same weights extracted give the same outputs."""
    model, tokens = Alone(PARTS, UNEVEN, seed=3), torch.arange(16)[None]
    torch.testing.assert_close(model(tokens, UNEVEN), extract(model, UNEVEN)(tokens))


def test_shared_layers_are_one_set_of_weights() -> None:
    """Equal layers that share weights are trained together."""
    shared = Architecture(vocabulary=300, context=16, hidden=16, layers=3, heads=2, head_width=8, ffn=32,
                          shared_layers=True)  # fmt: skip
    setting = Setting(16, (LayerSetting(1, 16),) * 2)
    assert len(Alone(shared, setting).layers) == 1


def test_a_linear_branch_outlives_its_ffn() -> None:
    """A reparametrised FFN that is removed leaves its branch, as in the elastic model."""
    branched = Architecture(vocabulary=300, context=16, hidden=16, layers=3, heads=2, head_width=8, ffn=32,
                            ffn_reparametrised=True)  # fmt: skip
    assert torch.isfinite(Alone(branched, UNEVEN)(torch.arange(16)[None], UNEVEN)).all()


def test_equal_seeds_train_equal_networks(make_recipe: MakeRecipe, space: Space) -> None:
    """The losses are a function of setting, recipe and text, whatever else the architecture could hold."""
    recipe = make_recipe().content
    text = training_text(recipe.text)
    architecture = identity_of(space.content, recipe, text).architecture
    setting = Setting(8, (LayerSetting(1, 32, ffn_density=0.5, weight_bits=4),))
    first = train_alone(architecture, setting, recipe, text)
    torch.manual_seed(9)
    again = train_alone(architecture_of_setting(architecture, setting), setting, recipe, text)
    np.testing.assert_array_equal(first.measured.window_losses, again.measured.window_losses)
    assert first.tokens == recipe.steps * recipe.batch * recipe.text.window
    other = train_alone(architecture, setting, make_recipe({"seed": 1}).content, text)
    assert other.measured.loss != first.measured.loss


def test_training_lowers_the_loss(make_recipe: MakeRecipe, space: Space) -> None:
    """Some steps on real text leave less than the logarithm of the vocabulary; only asked windows are measured."""
    recipe = make_recipe({"steps": 30, "optimiser.learning_rate": 0.01}).content
    text = training_text(recipe.text)
    architecture = identity_of(space.content, recipe, text).architecture
    steps: list[int] = []
    setting = Setting(16, (LayerSetting(2, 32),) * 2)
    found = train_alone(
        architecture, setting, recipe, text, windows=text.validation_windows[:4], watch=lambda s: steps.append(s.step)
    )
    assert found.measured.loss < np.log(300)
    assert len(found.measured.window_losses) == 4
    assert steps == list(range(1, 31))


def test_learned_spans_are_refused(make_recipe: MakeRecipe, space: Space) -> None:
    """A recipe that learns spans would train another network than the one asked for."""
    recipe = make_recipe({"spans.loss": 0.1}).content
    text = training_text(recipe.text)
    architecture = identity_of(space.content, recipe, text).architecture
    with pytest.raises(InputError, match=r"spans\.loss: expected 0"):
        train_alone(architecture, Setting(8, (LayerSetting(1, 32),)), recipe, text)


def test_a_setting_beyond_the_architecture_is_refused() -> None:
    """The message names the field."""
    with pytest.raises(InputError, match=r"hidden: expected 1\.\.16, got 17"):
        Alone(PARTS, Setting(17, (LayerSetting(1, 8),)))

"""Pruning by movement, of whole heads, and AdaptivFloat, named by a recipe: trained, resumed, published, refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from codesign.accuracy.supernet import Supernet
from codesign.accuracy.trained import Trained
from codesign.elastic import saved
from codesign.elastic.architecture import MOVEMENT_SCORES
from codesign.elastic.extract import extract
from codesign.elastic.setting import Setting
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import weights_of
from codesign.errors import CodesignError, InputError
from codesign.space_file import parse_space
from codesign.training import checkpoint
from codesign.training.compression import parts_of
from codesign.training.errors import TrainingError
from codesign.training.loop import train
from codesign.training.recipe import Recipe, read_recipe
from codesign.training.sampling import Sampler, largest_shape
from tests.training.conftest import SPACE, MakeRecipe, Space, stop_after, weights, write_recipe
from tests.training.test_publish import verbatim

PLAIN = {"removal": "family", "kept_by": "magnitude", "number_format": "integer", "exponent_bits": 0}


def table(**values: Any) -> dict[str, Any]:
    """The table of a recipe, with some values that are not those of a recipe without it."""
    return {"compression": PLAIN | values}


MOVEMENT = table(kept_by="movement")
HEADS = table(removal="heads")
MOVING_HEADS = table(removal="heads", kept_by="movement")
ADAPTIVFLOAT = table(number_format="adaptivfloat", exponent_bits=3)
MOVING_FLOATS = table(kept_by="movement", number_format="adaptivfloat", exponent_bits=3)


def compressed_space(model: str = "", *, structured: bool = False, heads: str = "2", densities: bool = True) -> Space:
    """The tiny space with heads removed or not, densities of a half, and more lines of the model."""
    text = SPACE.replace("{ choices = [1, 2], per_layer = true }", heads).replace("heads = 2\n", f"heads = {heads}\n")
    both = (f"{part}_density = {{ choices = [0.5, 1.0] }}\n" for part in ("attention", "ffn"))
    added = "".join(both) if densities else ""
    named = [line.partition(" = ")[0] for line in (added + model).splitlines()]
    base = "".join(f"{name} = {8 if name.endswith('bits') else 1.0}\n" for name in named)
    text = text.replace("[accelerator]", f"{added}{model}[accelerator]", 1)
    text = text.replace("[baseline.accelerator]", f"{base}[baseline.accelerator]")
    return parse_space(text.replace("[model]", f"structured = {str(structured).lower()}\n[model]", 1), "s", "s.toml")


BITS = "weight_bits = { choices = [4, 8] }\nactivation_bits = 8\n"


def of_last_step(directory: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint."""
    path = checkpoint.newest(directory)
    assert path is not None
    return checkpoint.read_weights(path)


def smallest(space: Space) -> Setting:
    """The sub-network of lowest densities."""
    return Sampler(space.content, 0).smallest()


def test_scores_learn_and_decide(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    """Every step moves the scores; the trained network keeps what has the highest ones, not the largest weights."""
    space, recipe = compressed_space(), make_recipe(MOVEMENT | {"checkpoint.every_steps": 4})
    train(space, recipe, tmp_path / "run")
    dense = checkpoint.read_weights(tmp_path / "run" / checkpoint.FOLDER / "step-00000004")
    after = of_last_step(tmp_path / "run")
    scores = [name for name in after if name.startswith(MOVEMENT_SCORES)]
    assert len(scores) == 2 * 4
    assert all(dense[name].any() and not torch.equal(after[name], dense[name]) for name in scores)
    model = Elastic(saved.read_card(tmp_path / "run").architecture)
    model.load_state_dict(after)
    layer = weights_of(model, smallest(space)).layers[0]
    assert layer.output is not None
    score, weight = (after[name][:8, :16] for name in ("scores.layers.0.output.weight", "layers.0.output.weight"))
    stays = layer.output.weight != 0
    assert int(stays.sum()) == 8 * 16 // 2
    assert score[stays].min() >= score[~stays].max()
    assert weight[stays].abs().min() < weight[~stays].abs().max()


@pytest.mark.parametrize(("at", "muon"), [(3, 0.01), (5, 0.0)])
def test_resuming_with_scores_gives_equal_bits(tmp_path: Path, make_recipe: MakeRecipe, at: int, muon: float) -> None:
    """Stopped before or while densities fall and resumed, a training ends with the bits of an undisturbed one."""
    space, recipe = compressed_space(), make_recipe(MOVEMENT | {"muon.learning_rate": muon})
    train(space, recipe, tmp_path / "whole")
    train(space, recipe, tmp_path / "cut", stop=stop_after(at))
    train(space, recipe, tmp_path / "cut", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"architecture\.kept_by: magnitude here, movement there"),
        (table(), r"recipe\.compression\.kept_by: magnitude here, movement there"),
        (MOVING_FLOATS, r"architecture\.number_format: adaptivfloat here, integer there"),
    ],
)
def test_another_way_to_compress_is_another_training(
    tmp_path: Path, make_recipe: MakeRecipe, changes: dict[str, Any], message: str
) -> None:
    """It is not resumed, and what differs is named."""
    space = compressed_space(BITS)
    train(space, make_recipe(MOVEMENT), tmp_path, stop=stop_after(1))
    with pytest.raises(TrainingError, match=message):
        train(space, make_recipe(changes), tmp_path, resume=True)


@pytest.mark.parametrize("changes", [MOVEMENT, MOVING_HEADS, HEADS, MOVING_FLOATS])
def test_what_is_published_is_what_was_trained(
    tmp_path: Path, make_recipe: MakeRecipe, changes: dict[str, Any]
) -> None:
    """A pruned sub-network, loaded or extracted, has the logits of the trained one with weights in half precision."""
    space = compressed_space(BITS, structured=changes["compression"]["removal"] == "heads")
    train(space, verbatim(make_recipe(changes)), tmp_path / "run")
    model, card = saved.load(tmp_path / "run")
    trained = Elastic(card.architecture)
    trained.load_state_dict({
        name: value if name.startswith(MOVEMENT_SCORES) else value.half().float()
        for name, value in of_last_step(tmp_path / "run").items()
    })  # fmt: skip
    setting, tokens = smallest(space), torch.arange(16)[None]
    assert setting.layers[0].attention_density == 0.5
    with torch.no_grad():
        expected = trained(tokens, setting)
        torch.testing.assert_close(model(tokens, setting), expected, rtol=0, atol=1e-5)
        network = extract(model, setting)
        torch.testing.assert_close(network(tokens), expected, rtol=0, atol=1e-5)
    assert not any(MOVEMENT_SCORES in name for name in network.state_dict())
    assert card.architecture.kept_by == changes["compression"]["kept_by"]
    if changes in (MOVING_HEADS, HEADS):
        stays = network.layers[0]["output"].weight.view(8, 2, 8) != 0
        assert stays.any(dim=2).any(dim=0).tolist().count(True) == 1
    proxy = Supernet("own", tmp_path / "run")
    proxy.check(space.content.family, space.content.choices())
    assert float(proxy.predict(largest_shape(space.content)).value[0]) > 1


def test_a_network_by_magnitude_knows_no_scores(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    """Without the tables a training has the tensors that it always had, and a card without the new field is read."""
    train(compressed_space(), make_recipe(), tmp_path / "run")
    assert not any(name.startswith(MOVEMENT_SCORES) for name in of_last_step(tmp_path / "run"))
    card = (tmp_path / "run" / saved.CARD).read_text(encoding="utf-8")
    assert '"kept_by": "magnitude",\n' in card
    (tmp_path / "run" / saved.CARD).write_text(card.replace('"kept_by": "magnitude",\n', ""), encoding="utf-8")
    assert saved.load(tmp_path / "run")[1].architecture.kept_by == "magnitude"


@pytest.mark.parametrize(("first", "then"), [({}, MOVEMENT), (MOVEMENT, {}), (MOVEMENT, MOVEMENT)])
def test_a_trained_network_can_be_pruned_another_way(
    tmp_path: Path, make_recipe: MakeRecipe, first: dict[str, Any], then: dict[str, Any]
) -> None:
    """A training that begins with a network has its weights, and its scores where both have some; else they are 0."""
    space, still = compressed_space(), {"steps": 1, "optimiser.warmup_steps": 0, "optimiser.learning_rate": 1e-12,
                                        "optimiser.clip": 1e-12, "muon.learning_rate": 0.0,
                                        "pruning.start_step": 0, "pruning.ramp_steps": 0}  # fmt: skip
    train(space, make_recipe(first), tmp_path / "first")
    train(space, make_recipe(still | then), tmp_path / "then", source=tmp_path / "first")
    before, after = of_last_step(tmp_path / "first"), of_last_step(tmp_path / "then")
    assert any(name.startswith(MOVEMENT_SCORES) for name in after) == bool(then)
    for name, value in after.items():
        expected = before.get(name, torch.zeros_like(value))
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("space", "changes", "message"),
    [
        (compressed_space(densities=False), MOVEMENT, r'kept_by = "movement": expected an .* got none'),
        (compressed_space(), HEADS, r'removal = "heads": expected family\.structured = true in the space'),
        (compressed_space(structured=True, heads="3"), HEADS, "attention_density: expected a whole number of heads .* "
                                                              "got 0.5 of 3"),
        (compressed_space(), ADAPTIVFLOAT, r"of at least exponent_bits \+ 1 = 4 in the space, got none"),
        (compressed_space(BITS.replace("4", "3")), ADAPTIVFLOAT, r"exponent_bits \+ 1 = 4 in the space, got 3"),
        (compressed_space(BITS), table(number_format="adaptivfloat", exponent_bits=0),
         "exponent_bits: expected at least 2 for adaptivfloat and 0 for integer, got 0 for adaptivfloat"),
        (compressed_space(BITS), table(number_format="adaptivfloat", exponent_bits=1), "got 1 for adap"),
        (compressed_space(BITS), table(exponent_bits=3), "got 3 for integer"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(
    tmp_path: Path, make_recipe: MakeRecipe, space: Space, changes: dict[str, Any], message: str
) -> None:
    """What the space lacks for a recipe is named before anything is written; stand-alone training refuses it too."""
    with pytest.raises(InputError, match=f"search space s, by this recipe: .*{message}"):
        train(space, make_recipe(changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    proxy = Trained(str(write_recipe(tmp_path / "recipe.toml", changes)))
    with pytest.raises(CodesignError, match=message):
        proxy.check(space.content.family, space.content.choices())


def test_stand_alone_training_prunes_as_its_recipe_says(tmp_path: Path) -> None:
    """A proxy that trains each shape builds the network that the recipe's table describes."""
    recipe = write_recipe(tmp_path / "recipe.toml", MOVING_FLOATS)
    space = compressed_space(BITS)
    proxy = Trained(str(recipe))
    proxy.check(space.content.family, space.content.choices())
    assert float(proxy.predict(largest_shape(space.content)).value[0]) > 1
    architecture = next(iter(proxy.losses))[0]
    assert (architecture.kept_by, architecture.number_format, architecture.exponent_bits) == (
        "movement",
        "adaptivfloat",
        3,
    )


def test_the_table_of_the_docs_trains(tmp_path: Path) -> None:
    """What docs/accuracy.md shows is read, trains and is published."""
    text = (Path(__file__).parents[2] / "docs" / "accuracy.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(\[compression\].*?)```", text, flags=re.DOTALL)
    assert len(shown) == 1
    path = write_recipe(tmp_path / "recipe.toml", {})
    path.write_text(path.read_text(encoding="utf-8") + shown[0], encoding="utf-8")
    recipe = read_recipe(path)
    assert recipe.content.compression is not None
    assert train(compressed_space(BITS), recipe, tmp_path / "run").finished
    made = saved.read_card(tmp_path / "run").architecture
    assert {name: getattr(made, name) for name in parts_of(recipe.content)} == parts_of(recipe.content)


def test_half_heads_are_not_measured(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    """A network whose heads are removed whole refuses a space in which a density would cut one in two."""
    space = compressed_space(structured=True)
    train(space, verbatim(make_recipe(HEADS)), tmp_path / "run")
    choices = space.content.choices()
    with pytest.raises(CodesignError, match=r"a whole number of heads .* got 0\.5 of 1"):
        Supernet("own", tmp_path / "run").check(space.content.family, choices | {"heads": (1, 2)})


def test_shipped_recipes_prune_by_magnitude(make_recipe: MakeRecipe) -> None:
    """A recipe without the table means what it did before there was one."""
    recipe: Recipe = make_recipe().content
    assert recipe.compression is None
    assert parts_of(recipe) == {}

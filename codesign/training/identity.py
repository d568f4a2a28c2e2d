"""What a training is of: two trainings with the same identity may continue each other, others may not."""

from __future__ import annotations

from typing import Any

import msgspec

from codesign.design_file import ACCELERATOR_FIELDS
from codesign.elastic.architecture import Architecture, architecture_of, family_of
from codesign.elastic.saved import Card
from codesign.errors import InputError
from codesign.space import SearchSpace
from codesign.training.compression import check_compression, parts_of
from codesign.training.lessons import Text
from codesign.training.recipe import Recipe
from codesign.training.sampling import check_trainable, largest_shape

MOST_SHOWN = 8
"""Differences that a message lists."""


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that the weights depend on, besides versions and machine."""

    space: dict[str, Any]
    """Choices of each gene of the model and the values that are fixed; the accelerator changes no weight."""
    architecture: Architecture
    recipe: Recipe
    text: str
    """SHA-256 of tokenizer and tokens."""
    start: str = ""
    """SHA-256 of the weights that it begins with; empty = random ones."""


def identity_of(space: SearchSpace, recipe: Recipe, text: Text, start: Card | None = None) -> Identity:
    """Return the identity of training a space by a recipe, from random weights or from those of a trained network.

    Raises:
        InputError: a space of which no elastic model can be made, or whose shapes it could not measure afterwards, or
            that does not do what the recipe says how to do.
    """
    check_trainable(space)
    check_task(space, recipe)
    architecture = architecture_of(
        largest_shape(space),
        vocabulary=text.tokenizer.vocabulary,
        context=recipe.text.window,
        **text.head,
        **parts_of(recipe),
    )
    try:
        check_compression(recipe, space.family, space.choices())
    except InputError as error:
        raise InputError(f"search space {space.name}, by this recipe: {error}") from None
    check_family(space, recipe, architecture)
    return Identity(model_of(space), architecture, recipe, text.digest(), start.weights_sha256 if start else "")


def check_task(space: SearchSpace, recipe: Recipe) -> None:
    """Refuse to train an encoder on what comes next, which it sees, and a language model's shapes on labels or answers.

    Raises:
        InputError: says what the recipe or the space lacks.
    """
    family = space.family
    kind = "answers" if recipe.answers is not None else "sentences" if recipe.sentences is not None else ""
    if not kind and family.stacks[0] != "decoder":
        raise InputError(f"search space {space.name}: expected a decoder for a recipe without [sentences] or "
                         f"[answers], got an {family.stacks[0]}; take a recipe with one of them")  # fmt: skip
    if kind and family.lm_head:
        raise InputError(f"search space {space.name}: expected family.lm_head = false for a recipe with [{kind}], got "
                         "true; take a recipe without it")  # fmt: skip
    if kind == "answers" and family.stacks[0] != "encoder":
        raise InputError(f"search space {space.name}: expected an encoder for a recipe with [answers], got a "
                         f"{family.stacks[0]}, whose tokens do not see what follows them")  # fmt: skip


def check_family(space: SearchSpace, recipe: Recipe, architecture: Architecture) -> None:
    """Refuse a space whose shapes the trained network could not measure: it would be of another family.

    Vocabulary and context are those of the recipe's text; what heads are wide is one number of the architecture.

    Raises:
        InputError: says what differs, and what to write into the space.
    """
    ours, theirs = space.family, family_of(architecture)
    other = [name for name in ours.__struct_fields__ if getattr(ours, name) != getattr(theirs, name)]
    if other:
        told = "; ".join(f"family.{name} = {_toml(getattr(theirs, name))}, not {_toml(getattr(ours, name))}"
                         for name in other)  # fmt: skip
        raise InputError(
            f"search space {space.name}: a network trained on text of {theirs.vocabulary} tokens in windows of "
            f"{recipe.text.window} could not measure its shapes; write {told}, or take another recipe"
        )
    widths = [gene.values for gene in space.genes if gene.name == "head_width"]
    if widths:
        raise InputError(f"search space {space.name}: head_width: expected one width for all shapes of a network that "
                         f"is trained, got choices {list(widths[0])}")  # fmt: skip


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()


def model_of(space: SearchSpace) -> dict[str, Any]:
    """Return what a space says of its models: `gene -> choices`, `field -> fixed value`, `family.part -> value`."""
    genes = {gene.name: list(gene.values) for gene in space.genes if not gene.on_accelerator}
    fixed = {name: value for name, value in space.fixed.items() if name not in ACCELERATOR_FIELDS}
    family = {f"family.{name}": value for name, value in msgspec.to_builtins(space.family).items()}
    return {**genes, **fixed, **family}


def differences(ours: Identity, theirs: Identity) -> list[str]:
    """Return one line for each value that differs, such as `recipe.batch: 32 here, 64 there`."""
    here, there = _flat(ours), _flat(theirs)
    return [
        f"{key}: {here.get(key, 'absent')} here, {there.get(key, 'absent')} there"
        for key in {**here, **there}
        if here.get(key) != there.get(key)
    ]


def shown(lines: list[str]) -> str:
    """Return differences as one text, a long list cut."""
    more = [f"and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return "; ".join(lines[:MOST_SHOWN] + more)


def _flat(identity: Identity) -> dict[str, Any]:
    # Through JSON, so that what was read from a file and what was not are alike.
    return _leaves(msgspec.json.decode(msgspec.json.encode(identity)), "")


def _leaves(value: Any, prefix: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _leaves(inner, f"{prefix}.{key}" if prefix else key)
    return found

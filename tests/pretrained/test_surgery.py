"""Surgeries as files, and as what makes a checkpoint as large as a design."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.design import ModelShape, Precision, Spans, Sparsity
from codesign.errors import InputError
from codesign.huggingface import config_shape
from codesign.pretrained.command import toml_of
from codesign.pretrained.model import Checkpoint, shape_of
from codesign.pretrained.operating import operate
from codesign.pretrained.surgery import StackSurgery, Surgery, read_surgery, surgery_of
from tests.pretrained.networks import CONFIGS


def base(kind: str) -> ModelShape:
    """Return the shape of the tiny checkpoint of a kind."""
    return config_shape({"model_type": kind, **CONFIGS[kind]}, kind)


def smaller(kind: str) -> ModelShape:
    """Return one design of a kind: two layers that differ in everything that surgery can change."""

    def column(*values: float) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([[values]])

    whole = base(kind)
    heads = column(4, 2)
    return replace(
        whole, layers=np.array([[2]]), heads=heads, kv_heads=heads, head_width=column(6, 6), value_width=column(6, 6),
        ffn=column(0, 16),
        precision=Precision(column(8, 4), column(8, 32)),
        sparsity=Sparsity(column(1.0, 0.5), column(0.0, 0.25)),
        spans=Spans(column(4, 16)),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["bert", "distilbert", "gpt2"])
def test_design_gives_the_surgery_that_makes_it(kind: str, checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A checkpoint cut to a design has the design's sizes, spans, densities and bits."""
    surgery = surgery_of(smaller(kind), base(kind), importance="magnitude")
    found = shape_of(operate(checkpoints[kind][1], surgery)).layer_columns()
    wanted = smaller(kind).layer_columns()
    wanted["ffn_density"] = wanted["ffn_density"] * np.array([[[0, 1]]])
    for name, column in wanted.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
    assert surgery.of(base(kind).family.stacks[0]).layers == (0, 1)


def test_kept_layers_are_spread_out() -> None:
    """Every so many-th layer stays: half of 12 are the even ones."""
    whole = config_shape({"model_type": "bert"}, "bert")
    half = {name: column[:, :, :6] for name, column in whole.layer_columns().items()}
    surgery = surgery_of(replace(whole, layers=np.array([[6]]), **half), whole)  # type: ignore[arg-type]
    assert surgery.encoder.layers == (0, 2, 4, 6, 8, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"hidden": np.array([12])}, "hidden: expected 24"), ({"head_width": np.array([[[4, 4, 4]]])}, "head_width")],
)
def test_what_surgery_cannot_change_is_refused(change: dict[str, np.ndarray], message: str) -> None:  # type: ignore[type-arg]
    """Hidden size and head width are those of the checkpoint."""
    with pytest.raises(InputError, match=message):
        surgery_of(replace(base("bert"), **change), base("bert"))  # type: ignore[arg-type]


def test_other_stacks_are_refused() -> None:
    """A decoder cannot be cut out of an encoder."""
    with pytest.raises(InputError, match="stacks: expected those of the checkpoint, encoder, got decoder"):
        surgery_of(base("gpt2"), base("bert"))


def test_surgery_survives_its_file(tmp_path: Path) -> None:
    """What is written as TOML reads as the same surgery."""
    surgery = Surgery(
        importance="magnitude",
        encoder=StackSurgery(layers=(0, 2), shared=((0, 2),), heads=2, ffn=(8, 8), ffn_density=0.5),
        decoder=StackSurgery(span=(4, 0), weight_bits=8),
    )
    (tmp_path / "s.toml").write_text(toml_of(surgery))
    assert read_surgery(tmp_path / "s.toml") == surgery


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 1\n[encoder]\nhead = 2\n", "known: layers, shared, heads"),
        ("format = 1\nimportance = 'luck'\n", "taylor"),
        ("format = 1\n[encoder]\nweight_bits = 1\n", "encoder.weight_bits"),
        ("format = 1\n[encoder]\nffn_density = 0\n", "encoder.ffn_density"),
        ("format = 1\n[encoder\n", "not valid TOML"),
    ],
)
def test_mistakes_in_a_file_are_named(text: str, message: str, tmp_path: Path) -> None:
    """A mistake names its key and what is known."""
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_surgery(tmp_path / "s.toml")

"""The T5-Mini case: what FFNs are of a small encoder-decoder, and what training without them or with merged ones costs.

Wattanawong & Keutzer (UCB/EECS-2023-92, abstract) say of T5-Mini: FFNs are about 60 % of parameters and inference
FLOPs; "structural weight reparametrization" saves about 30 % of both. Which layers, and which form, they do not say.
Here a reparametrised FFN is one without its activation: trained as two matrices, merged into one hidden x hidden matrix
afterwards.

Left out: MNLI, on which they measure; any pretrained T5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codesign.design import ModelShape, Scenario
from codesign.huggingface import config_shape
from codesign.operations import OF_THE_FFN, Workload, macs
from codesign.parameters import parameters
from codesign.workload import workload

T5_MINI: dict[str, Any] = {"model_type": "t5", "vocab_size": 32128, "d_model": 384, "d_kv": 32, "d_ff": 1536,
                           "num_layers": 4, "num_decoder_layers": 4, "num_heads": 8}  # fmt: skip
"""google/t5-efficient-mini (Tay 2022)."""

LENGTHS = (128, 512)
"""Tokens of source and target."""

STACKS = ("encoder", "decoder")


def run() -> list[dict[str, Any]]:
    """Return shares and savings of T5-Mini by counting, then perplexities of small ones trained without FFNs."""
    from codesign.pretrained.ablation import ablations

    return [*counted(), *ablations()]


def counted() -> list[dict[str, Any]]:
    """Return the share of the FFNs in parameters and FLOPs, and what removing or merging them saves."""
    shape = config_shape(T5_MINI, "T5-Mini")
    rows = [{"figure": "ffn_share", "of": "parameters", **_parameter_shares(shape)}]
    rows += [
        {"figure": "ffn_share", "of": f"FLOPs, {length} tokens", **_flop_shares(shape, length)} for length in LENGTHS
    ]
    for stacks in (("encoder",), ("decoder",), STACKS):
        rows += [saving(shape, stacks, merged=merged) for merged in (False, True)]
    return rows


def saving(shape: ModelShape, stacks: Sequence[str], merged: bool, length: int = LENGTHS[0]) -> dict[str, Any]:
    """Return the fraction of parameters (without embeddings) and FLOPs saved in the FFNs of some stacks.

    Args:
        shape: the whole model (n = 1).
        stacks: whose FFNs change.
        merged: into one hidden x hidden matrix; else removed.
        length: tokens of source and target.
    """
    place = np.array([stack in stacks for stack in shape.family.stacks])[None, :, None]
    without = replace(shape, ffn=np.where(place, 0, shape.ffn))
    changed = np.asarray(place * shape.active)
    square = int(merged) * int(shape.hidden[0]) ** 2 * int(changed.sum())
    tokens = np.array([length, length])[None, :, None]
    left = _inner(without) + square
    flops = 2 * (_macs(without, length) + int(merged) * int((changed * tokens).sum()) * int(shape.hidden[0]) ** 2)
    return {
        "figure": "merged" if merged else "removed",
        "stacks": " and ".join(stacks),
        "parameters_saved": 1 - left / _inner(shape),
        "flops_saved": 1 - flops / (2 * _macs(shape, length)),
    }


def _inner(shape: ModelShape) -> int:
    """Parameters of attention and FFN."""
    found = parameters(shape)
    return int(found["attention"][0] + found["ffn"][0])


def _parameter_shares(shape: ModelShape) -> dict[str, float]:
    found = {name: int(count[0]) for name, count in parameters(shape).items()}
    per_layer = {stack: _layer_share(shape, s) for s, stack in enumerate(shape.family.stacks)}
    return {
        "all": found["ffn"] / sum(found.values()),
        "without_embeddings": found["ffn"] / (found["attention"] + found["ffn"]),
        **{f"{stack}_layer": share for stack, share in per_layer.items()},
    }


def _layer_share(shape: ModelShape, s: int) -> float:
    """Of one layer: two attentions in a decoder."""
    d, inner = int(shape.hidden[0]), int(shape.heads[0, s, 0] * shape.head_width[0, s, 0])
    ffn, attention = 2 * d * int(shape.ffn[0, s, 0]), (1 + s) * 4 * d * inner
    return ffn / (ffn + attention)


def _flop_shares(shape: ModelShape, length: int) -> dict[str, float]:
    """Of all products, and of those inside the layers."""
    done = _workload(shape, length)
    products = done.matmuls
    count = (products.m * products.k * products.n * products.count)[0]
    ffn = sum(int(c) for c, label in zip(count, products.labels, strict=True) if label.operation in OF_THE_FFN)
    inside = sum(int(c) for c, label in zip(count, products.labels, strict=True) if label.layer >= 0)
    return {"all": ffn / int(count.sum()), "inside_layers": ffn / inside}


def _macs(shape: ModelShape, length: int) -> int:
    """Inside the layers: without the output projection."""
    done = _workload(shape, length)
    products = done.matmuls
    inside = np.array([label.layer >= 0 for label in products.labels])
    return int((products.m * products.k * products.n * products.count)[0][inside].sum())


def _workload(shape: ModelShape, length: int) -> Workload:
    done = workload(shape, Scenario(sequence_length=length, target_length=length))
    macs(done)  # refuses what cannot be counted
    return done

"""How many bytes of DRAM a deployment takes: weights, the largest set of activations alive, the cache of a decoder."""

from __future__ import annotations

import numpy as np

from codesign.cost.technology import Technology
from codesign.design import FloatArray, ModelShape, Scenario
from codesign.parameters import stored_bits
from codesign.workload import Label, Workload

ALIVE = {
    "query": "attention",
    "key": "attention",
    "value": "attention",
    "scores": "attention",
    "context": "output",
    "output": "output",
    "ffn_gate": "ffn",
    "ffn_up": "ffn",
    "ffn_down": "ffn",
}
"""Matmul -> with which others its results are alive; those of cross-attention like these, others alone."""

WIDE = ("scores", "output", "ffn_down")
"""Matmuls whose results wait for whole rows (softmax, a norm) and so are as wide as the accumulator, unless fused."""

CACHED = ("key", "value")


def dram_footprint_bytes(shape: ModelShape, scenario: Scenario, work: Workload, technology: Technology) -> FloatArray:
    """Return (n,) bytes = weights as stored + activations alive + keys and values of all layers of a decoder.

    An upper estimate: no choice of mapping or fusion lowers it. Left out: code, alignment, input tokens.
    """
    bits = technology.tensors.operand_bits
    activations = activation_bytes(shape, scenario, work, technology)
    return stored_bits(shape, bits) / 8 + activations + kv_cache_bytes(shape, scenario, bits)


def activation_bytes(shape: ModelShape, scenario: Scenario, work: Workload, technology: Technology) -> FloatArray:
    """Return (n,) bytes of the sublayer with most: its results (see ALIVE) beside the stream that passes it by.

    Results are as wide as outputs, those of WIDE as the accumulator. A decoder's keys and values are in its cache.
    While a decoder reads an encoder in the same pass, the encoder's output is alive too.
    """
    matmuls, narrow = work.matmuls, technology.tensors.output_bits / 8
    names = [label.operation.removeprefix("cross_") for label in matmuls.labels]
    width = [technology.tensors.accumulator_bits / 8 if name in WIDE else narrow for name in names]
    cached = [label.stack == "decoder" and name in CACHED for label, name in zip(matmuls.labels, names, strict=True)]
    results = 1.0 * matmuls.m * matmuls.n * matmuls.count * np.where(cached, 0.0, width)  # (n, P)
    places = [_place(label) for label in matmuls.labels]
    distinct = list(dict.fromkeys(places))
    together = results @ np.array([[place == own for own in distinct] for place in places], dtype=np.float64)
    stream = _stream_tokens(shape, scenario) * narrow * shape.hidden
    most = together.max(axis=1) if distinct else np.zeros(len(shape))
    return np.asarray(most + stream)


def _place(label: Label) -> tuple[str, int, str]:
    name = label.operation.removeprefix("cross_")
    return label.stack, label.layer, label.operation.removesuffix(name) + ALIVE.get(name, name)


def _stream_tokens(shape: ModelShape, scenario: Scenario) -> int:
    """Return how many vectors of the hidden size are alive beside a sublayer."""
    if scenario.phase == "decode":
        return scenario.batch
    return scenario.batch * (scenario.sequence_length + scenario.target_length * (len(shape.family.stacks) > 1))


def kv_cache_bytes(shape: ModelShape, scenario: Scenario, operand_bits: int) -> FloatArray:
    """Return (n,) bytes of the keys and values that a decoder keeps; 0 without a decoder.

    Of self-attention the context, or its last span; behind an encoder also those of all source tokens. They are as wide
    as the activations of their layer.
    """
    if "decoder" not in shape.family.stacks:
        return np.zeros(len(shape))
    s = shape.family.stacks.index("decoder")
    alone = len(shape.family.stacks) == 1
    context = scenario.sequence_length if alone else scenario.target_length
    seen = np.full(shape.heads[:, s].shape, context)
    if shape.spans is not None:
        seen = np.minimum(shape.spans.span[:, s], seen)
    if not alone:
        seen = seen + scenario.sequence_length
    bits = operand_bits if shape.precision is None else shape.precision.activation_bits[:, s]
    width = shape.kv_heads[:, s] * (shape.head_width[:, s] + shape.value_width[:, s])
    return np.asarray(scenario.batch * (seen * width * bits / 8).sum(axis=1))

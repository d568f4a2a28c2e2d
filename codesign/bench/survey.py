"""The survey's analytical model beside the figures that the survey prints: Tab. 3, 5, 10, 11 and Fig. 32.

Needs no reference data: all published figures are literals below, from Kim et al. 2023, "Full Stack Optimization of
Transformer Inference" (arXiv 2302.14017). It counts the layers alone, without embeddings, pooler and head.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codesign.cost.roofline import Roofline, Traffic, roofline
from codesign.design import BoolArray, Family, ModelShape, Scenario, Stack
from codesign.design_file import ModelTable, model_shape

PARTS: dict[str, tuple[str, ...]] = {
    "projections": ("query", "key", "value", "output"),
    "act-act": ("scores", "context"),
    "ffn": ("ffn_up", "ffn_down"),
    "other": ("softmax", "attention_norm", "attention_residual", "activation", "ffn_norm", "ffn_residual"),
}
PARTS["total"] = tuple(operation for part in PARTS.values() for operation in part)

PRODUCTS: dict[str, tuple[str, ...]] = {
    "WQKV": ("query", "key", "value"),
    "QK": ("scores",),
    "AV": ("context",),
    "Wout": ("output",),
    "W1": ("ffn_up",),
    "W2": ("ffn_down",),
}

# The survey's Tab. 1: layers, hidden size, heads, their width, FFN, stack.
NETWORKS: dict[str, tuple[int, int, int, int, int, Stack]] = {
    "BERT-Base": (12, 768, 12, 64, 3072, "encoder"),
    "BERT-Base, 4 heads": (12, 768, 4, 192, 3072, "encoder"),
    "BERT-Large": (24, 1024, 16, 64, 4096, "encoder"),
    "GPT-2 decode": (12, 768, 12, 64, 3072, "decoder"),
}

TABLE_3_GFLOPS = {
    128: {"projections": 7.25, "act-act": 0.60, "ffn": 14.50, "other": 0.08, "total": 22.42},
    512: {"projections": 28.99, "act-act": 9.62, "ffn": 57.98, "other": 0.42, "total": 97.02},
    4096: {"projections": 231.93, "act-act": 616.02, "ffn": 463.86, "other": 11.85, "total": 1323.66},
}
TABLE_3_GMOPS = {128: 0.14, 512: 0.42, 4096: 11.22}
TABLE_3_OTHER_PERCENT_OF_MOPS = {128: 18, 512: 37, 4096: 49}

TABLE_5_COLUMNS = ("WQKV", "QK", "AV", "Wout", "W1", "W2", "total", "ideal")
TABLE_5 = {
    128: (170.7, 25.4, 63.75, 128, 130.7, 186.2, 106.1, 160),
    512: (341.3, 29.9, 102.3, 204.8, 211.9, 409.6, 111.1, 231),
    4096: (409.6, 30.8, 118.7, 227.6, 236.3, 512, 47.1, 118),
}

TABLE_10 = {  # 512 tokens
    "BERT-Base": {"act-act GMOPs": 0.09, "total intensity": 231},
    "BERT-Base, 4 heads": {"act-act GMOPs": 0.04, "total intensity": 303.6},
}

TABLE_11_INTENSITY = 2  # GPT-2 decode, about, at every length

LENGTHS = (128, 256, 512, 1024, 2048, 4096)
FIGURE_32 = {  # latency, BERT-Base at 128 tokens = 1
    "BERT-Base": (1, 2, 5, 11, 28, 80),
    "BERT-Large": (3, 7, 14, 33, 82, 229),
    "GPT-2 decode": (18, 37, 75, 159, 352, 840),
}

BOTH: tuple[Traffic, Traffic] = ("tiled", "compulsory")

STRETCHES = 32
"""A generation is summed over this many equal stretches of tokens, each at its middle: decode is linear in context."""


def run() -> list[dict[str, object]]:
    """Return one row a published figure: table, case, quantity, ours, published, deviation."""
    rows = (*_table_3(), *_table_5(), *_table_10(), *_table_11(), *_figure_32())
    return [
        {"table": table, "case": case, "quantity": quantity, "ours": ours, "published": published}
        | {"deviation_percent": 100 * (ours / published - 1)}
        for table, case, quantity, ours, published in rows
    ]


Row = tuple[str, str, str, float, float]


def _table_3() -> Iterator[Row]:
    """FLOPs and memory operations of BERT-Base."""
    for length, gflops in TABLE_3_GFLOPS.items():
        case, found = f"BERT-Base, {length} tokens", passes("BERT-Base", length, "compulsory")[0]
        for part, published in gflops.items():
            yield "Tab. 3", case, f"{part} GFLOPs", _sum(found, "flops", part) / 1e9, published
        mops = _sum(found, "dram_bytes", "total")
        yield "Tab. 3", case, "total GMOPs", mops / 1e9, TABLE_3_GMOPS[length]
        share = 100 * _sum(found, "dram_bytes", "other") / mops
        yield "Tab. 3", case, "other, % of MOPs", share, TABLE_3_OTHER_PERCENT_OF_MOPS[length]


def _table_5() -> Iterator[Row]:
    """Arithmetic intensity of BERT-Base, tiled and (last column) compulsory."""
    columns = {**PRODUCTS, "total": PARTS["total"], "ideal": PARTS["total"]}
    for length, intensities in TABLE_5.items():
        tiled, ideal = (passes("BERT-Base", length, traffic) for traffic in BOTH)
        for name, published in zip(TABLE_5_COLUMNS, intensities, strict=True):
            ours = _intensity(ideal if name == "ideal" else tiled, columns[name])
            yield "Tab. 5", f"BERT-Base, {length} tokens", f"{name} intensity", ours, published


def _table_10() -> Iterator[Row]:
    """Fewer, wider heads."""
    for network, published in TABLE_10.items():
        found = passes(network, 512, "compulsory")
        mops = _sum(found[0], "dram_bytes", "act-act") / 1e9
        yield "Tab. 10", f"{network}, 512 tokens", "act-act GMOPs", mops, published["act-act GMOPs"]
        intensity = _intensity(found, PARTS["total"])
        yield "Tab. 10", f"{network}, 512 tokens", "total intensity", intensity, published["total intensity"]


def _table_11() -> Iterator[Row]:
    """Arithmetic intensity of generating token by token."""
    for length in TABLE_3_GMOPS:
        intensity = _intensity(passes("GPT-2 decode", length, "compulsory"), PARTS["total"])
        yield "Tab. 11", f"GPT-2 decode, {length} tokens", "total intensity", intensity, TABLE_11_INTENSITY


def _figure_32() -> Iterator[Row]:
    """Latency of a whole sequence over that of BERT-Base with 128 tokens."""
    unit = sequence_cycles("BERT-Base", 128)
    for network, published in FIGURE_32.items():
        for length, latency in zip(LENGTHS, published, strict=True):
            yield "Fig. 32", f"{network}, {length} tokens", "latency", sequence_cycles(network, length) / unit, latency


def passes(network: str, length: int, traffic: Traffic) -> list[Roofline]:
    """Apply the model to a sequence: one pass of an encoder, or STRETCHES typical ones of a decoder."""
    if not network.endswith("decode"):
        return [roofline(_shape(network), Scenario(sequence_length=length), traffic=traffic)]
    step = length // STRETCHES
    contexts = range((step + 1) // 2, length + 1, step)
    scenarios = [Scenario(sequence_length=context, phase="decode") for context in contexts]
    return [roofline(_shape(network), scenario, traffic=traffic) for scenario in scenarios]


def sequence_cycles(network: str, length: int) -> float:
    """Cycles of a whole sequence: one pass of an encoder, `length` of a decoder."""
    found = passes(network, length, "tiled")
    cycles = [float(each.cycles[0, _chosen(each, PARTS["total"])].sum()) for each in found]
    return float(np.mean(cycles)) * (length if len(found) > 1 else 1)


def _shape(network: str) -> ModelShape:
    """Lay one of NETWORKS out; the vocabulary and its tables are outside what is counted."""
    layers, hidden, heads, width, ffn, stack = NETWORKS[network]
    table = ModelTable(layers=layers, hidden=hidden, heads=heads, head_width=width, ffn=ffn)
    return model_shape(Family(stacks=(stack,), vocabulary=1, positions="none"), [table])


def _chosen(found: Roofline, operations: tuple[str, ...]) -> BoolArray:
    """(O,) which operations of the layers are named."""
    return np.array([label.layer >= 0 and label.operation in operations for label in found.labels], dtype=np.bool_)


def _sum(found: Roofline, column: str, part: str) -> float:
    """Sum a column of the one design over a part of its layers."""
    return float(getattr(found, column)[0, _chosen(found, PARTS[part])].sum())


def _intensity(found: list[Roofline], operations: tuple[str, ...]) -> float:
    """FLOPs of all passes over their DRAM bytes."""
    flops, moved = (
        sum(float(getattr(each, column)[0, _chosen(each, operations)].sum()) for each in found)
        for column in ("flops", "dram_bytes")
    )
    return flops / moved

"""What no published source covers, refused: in the choices of a space, and in shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from codesign.accuracy.proxy import INSTEAD
from codesign.accuracy.published_file import Step, Task
from codesign.accuracy.published_terms import FFN, HEAD_WIDTH, HEADS, HIDDEN, LAYERS
from codesign.design import Family, ModelShape
from codesign.errors import ProxyError
from codesign.layer_fields import DENSITIES, FOLLOWS, where_read

DEPTH = (
    "all networks of the sources have 12 layers; scores at 6 layers (DistilBERT, TinyBERT) differ by recipe more than "
    "by depth, so they support no law"
)

Choices = Mapping[str, tuple[float, ...]]
Allowed = Callable[[float], bool]


def check_family(name: str, family: Family) -> None:
    """Refuse families other than BERT's.

    Raises:
        ProxyError: names the field and what the sources have.
    """
    reasons = {
        "stacks": (family.stacks != ("encoder",), "all sources are encoders"),
        "shared_layers": (family.shared_layers, "in all sources each layer has weights of its own"),
        "gated_ffn": (family.gated_ffn, "in all sources the FFN has two matrices"),
        "embedding_width": (family.embedding_width != 0, "no source has a factorised embedding"),
    }
    for field, (refused, reason) in reasons.items():
        if refused:
            raise refusal(name, f"{field} = {getattr(family, field)!r}", reason)


def check_choices(name: str, task: Task, steps: tuple[Step, ...], family: Family, choices: Choices) -> None:
    """Refuse values that no source covers.

    Args:
        name: of the proxy.
        task: its sources.
        steps: number formats, widest first.
        family: of all shapes; tells what a density leaves out, and how long a context can be.
        choices: gene -> values; kv_heads and value_width only where they do not follow heads and head_width.

    Raises:
        ProxyError: names the gene, the values, and the reason.
    """
    for gene, (allowed, reason) in _rules(task, steps, family).items():
        bad = sorted({value for value in choices.get(gene, ()) if not allowed(value)})
        if bad:
            raise refusal(name, f"{gene} {_plain(bad)}", reason)
    for gene, leader in FOLLOWS.items():
        own = set(choices.get(gene, ()))
        if own and (own != set(choices[leader]) or len(own) > 1):
            raise refusal(name, f"{gene} {_plain(sorted(own))}", f"in all sources {gene} equals {leader}")


def check_shape(name: str, task: Task, steps: tuple[Step, ...], shape: ModelShape) -> None:
    """Refuse shapes with values that no source covers.

    Raises:
        ProxyError: as `check_family` and `check_choices`.
    """
    check_family(name, shape.family)
    columns = shape.layer_columns()
    read = where_read(shape.heads > 0, shape.ffn > 0)
    for gene, leader in FOLLOWS.items():
        if (columns[gene] != columns[leader]).any():
            raise refusal(name, f"{gene} other than {leader}", f"in all sources {gene} equals {leader}")
    found = {gene: column[read.get(gene, shape.active)] for gene, column in columns.items() if gene not in FOLLOWS}
    found |= {"layers": shape.layers, "hidden": shape.hidden}
    choices = {gene: tuple(np.unique(values).tolist()) for gene, values in found.items()}
    check_choices(name, task, steps, shape.family, choices)


def refusal(name: str, what: str, reason: str) -> ProxyError:
    """Return the one error of these proxies."""
    return ProxyError(f"proxy {name!r} cannot judge {what}: {reason}; {INSTEAD}")


def _rules(task: Task, steps: tuple[Step, ...], family: Family) -> dict[str, tuple[Allowed, str]]:
    """Gene -> which values the sources cover, and why not the others."""
    fewest_bits, context = steps[-1].bits, family.position_count
    sizes = task.structured is not None
    heads = f"expected 1..{HEADS}" if sizes else f"expected {HEADS}: no source prunes heads on this task"
    units = f"1..{FFN}" if sizes else f"{FFN} (no source prunes units on this task)"
    gone = "or 0" if task.ffn_removal is not None else "not 0: no source removes FFNs on this task"
    density = "expected 1 in a structured family: the sources leave out heads and FFN units, so vary heads and ffn"
    bits = f"no source has fewer than {fewest_bits} bits in this number format"
    rules: dict[str, tuple[Allowed, str]] = {
        "layers": (lambda value: value == LAYERS, f"expected {LAYERS}: {DEPTH}"),
        "hidden": (lambda value: value == HIDDEN, f"expected {HIDDEN}: all networks of the sources are that wide"),
        "head_width": (lambda value: value == HEAD_WIDTH, f"expected {HEAD_WIDTH}, the head width of all sources"),
        "heads": (
            lambda value: 1 <= value <= HEADS if sizes else value == HEADS,
            f"{heads}, in every layer of the sources",
        ),
        "ffn": (
            lambda value: task.ffn_removal is not None if value == 0 else (sizes and value < FFN) or value == FFN,
            f"expected {units}, {gone}",
        ),
        "span": (
            lambda value: 0 < context <= value,
            f"expected the whole context ({context} positions): no source tells what spans cost a fine-tuned encoder",
        ),
    }
    rules |= {gene: (lambda value: not family.structured or value == 1, density) for gene in DENSITIES}
    return rules | {gene: (lambda value: value >= fewest_bits, bits) for gene in ("weight_bits", "activation_bits")}


def _plain(values: list[float]) -> str:
    """Write values for a message: one as it is, several as a list, many by their ends."""
    if len(values) == 1:
        return str(values[0])
    return str(values) if len(values) < 5 else f"{values[0]}..{values[-1]} ({len(values)} values)"

"""What is fixed in an elastic model: its parts and the largest of each size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import msgspec

from codesign.design import Family, ModelShape, Stack
from codesign.elastic.setting import LayerSetting, Setting
from codesign.errors import InputError

Task = Literal["language_model", "classification", "span_answers"]
Removal = Literal["unstructured", "rows", "heads"]
NumberFormat = Literal["integer", "adaptivfloat"]
KeptBy = Literal["magnitude", "movement"]

MOVEMENT_SCORES = "scores."
"""Beginning of the names of movement scores among the parameters of an elastic model."""


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stack; a value of 0 or False means that the part does not exist. Flags as in `codesign.design.Family`."""

    stack: Stack = "decoder"
    """A decoder is causal, an encoder sees both sides."""
    vocabulary: int
    context: int
    """Tokens of the longest sequence: rows of the learned position embedding."""
    hidden: int
    layers: int
    heads: int
    head_width: int
    """Of every head of every sub-network."""
    ffn: int
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    norm_epsilon: float = 1e-5
    final_norm: bool = True
    embedding_norm: bool = False
    attention_bias: bool = True
    ffn_bias: bool = True
    gated_ffn: bool = False
    activation: str = "gelu"
    learned_positions: bool = True
    token_types: int = 0
    embedding_width: int = 0
    """Width of a factorised embedding, the same in every sub-network (Lan 2020); 0 = hidden size."""
    shared_layers: bool = False
    """All layers use one set of weights (Lan 2020); a sub-network has equal layers but for their spans."""
    ffn_reparametrised: bool = False
    """A linear branch beside each FFN, trained as two matrices and merged into one of hidden x hidden at inference.
    It, its norm and its residual stay where the FFN is removed."""
    task: Task = "language_model"
    tied_embeddings: bool = True
    """A language model's output projection reuses the token embedding."""
    classes: int = 0
    """Of a classifier."""
    exits: bool = False
    """A classifier (with its own pooler) after every layer, not only after the last."""
    pooler: bool = False
    """A dense layer with tanh before a classifier (BERT)."""
    pooling: Literal["first", "mean"] = "first"
    """What a classifier looks at: the first token (BERT), or the mean over tokens that are no padding."""
    removal: Removal = "unstructured"
    """What a density removes: single weights; rows (all weights of one input, as `Family.structured`); or whole
    heads of the attention and inner units of the FFN."""
    kept_by: KeptBy = "magnitude"
    """What a density keeps: the largest weights (Han 2015), or the highest of scores that are trained beside the
    weights and say which move away from zero (Sanh 2020). The scores are part of the elastic model, and of no
    sub-network."""
    number_format: NumberFormat = "integer"
    """Of weights and activations that have bits."""
    exponent_bits: int = 0
    """e of AdaptivFloat<n, e>; n are the bits of the setting."""

    @property
    def causal(self) -> bool:
        """A token never sees later ones."""
        return self.stack == "decoder"

    @property
    def post_norm(self) -> bool:
        """Norms stand after the residual addition, in encoders built as BERT; else before each sublayer (GPT-2)."""
        return self.stack == "encoder" and self.embedding_norm and not self.final_norm

    @property
    def outputs(self) -> int:
        """Numbers a token (or sequence) that the head gives."""
        return {"language_model": self.vocabulary, "classification": self.classes, "span_answers": 2}[self.task]


def architecture_of(shape: ModelShape, **parts: Any) -> Architecture:
    """Return the architecture that holds all n shapes as sub-networks.

    Args:
        shape: n shapes of one stack; the largest of each size counts.
        parts: fields of `Architecture` that a shape does not tell (task, classes, exits, number_format ...), `context`
            among them where positions are not learned: there is no table to tell it.

    Raises:
        InputError: what an elastic model lacks: two stacks, shared key/value heads, value heads of another width, heads
            of several widths, positions that are not learned.
    """
    family = shape.family
    _refuse_unsupported(shape)
    widths = {int(width) for width in shape.head_width[shape.heads > 0]}
    if len(widths) > 1:
        raise InputError(f"head_width: expected one in all layers of an elastic model, got {sorted(widths)}")
    return Architecture(
        **{
            "stack": family.stacks[0],
            "vocabulary": family.vocabulary,
            "context": family.position_count,
            "hidden": int(shape.hidden.max()),
            "layers": int(shape.layers.max()),
            "heads": int(shape.heads.max()),
            "head_width": widths.pop() if widths else 1,
            "ffn": int(shape.ffn.max()),
            "learned_positions": family.positions == "learned" and family.position_count > 0,
            "removal": "rows" if family.structured else "unstructured",
            **{name: getattr(family, name) for name in _SAME_IN_FAMILY},
            **parts,
        }
    )


_SAME_IN_FAMILY = ("norm", "final_norm", "embedding_norm", "attention_bias", "ffn_bias", "gated_ffn", "activation",
                   "token_types", "embedding_width", "shared_layers", "pooler", "tied_embeddings")  # fmt: skip


def _refuse_unsupported(shape: ModelShape) -> None:
    family = shape.family
    if len(family.stacks) != 1:
        raise InputError(f"stacks: expected one in an elastic model, got {', '.join(family.stacks)}")
    if family.positions not in ("learned", "none"):
        raise InputError(f"positions: expected learned or none in an elastic model, got {family.positions}")
    if (shape.kv_heads != shape.heads).any():
        raise InputError("kv_heads: expected as many as heads in an elastic model; leave kv_heads out")
    if (shape.value_width != shape.head_width).any():
        raise InputError("value_width: expected head_width in an elastic model; leave value_width out")


def family_of(architecture: Architecture) -> Family:
    """Return the family of the sub-networks: what counts and costs know of the architecture.

    Classifiers, answer heads and merged linear branches are not part of a family.
    """
    language_model = architecture.task == "language_model"
    return Family(
        stacks=(architecture.stack,),
        vocabulary=architecture.vocabulary,
        positions="learned" if architecture.learned_positions else "none",
        position_count=architecture.context if architecture.learned_positions else 0,
        lm_head=language_model,
        structured=architecture.removal != "unstructured",
        **{name: getattr(architecture, name) for name in _SAME_IN_FAMILY if name != "tied_embeddings"},
        tied_embeddings=architecture.tied_embeddings,
    )


def largest(architecture: Architecture) -> Setting:
    """Return the setting that is the whole model, dense and in floats."""
    return Setting(architecture.hidden, (LayerSetting(architecture.heads, architecture.ffn),) * architecture.layers)


def check_architecture(architecture: Architecture) -> None:
    """Refuse parts that cannot be joined.

    Raises:
        InputError: names the field, what was expected and what came.
    """
    for name in ("vocabulary", "context", "hidden", "layers", "head_width"):
        if getattr(architecture, name) < 1:
            raise InputError(f"{name}: expected at least 1, got {getattr(architecture, name)}")
    for name in ("heads", "ffn", "token_types", "embedding_width", "exponent_bits"):
        if getattr(architecture, name) < 0:
            raise InputError(f"{name}: expected 0 or more, got {getattr(architecture, name)}")
    if architecture.ffn_reparametrised and architecture.ffn == 0:
        raise InputError("ffn: expected at least 1 with ffn_reparametrised, got 0; it is the inner width of the branch")
    language_model, classifier = (architecture.task == task for task in ("language_model", "classification"))
    if language_model and architecture.tied_embeddings and architecture.embedding_width:
        raise InputError("tied_embeddings: an output projection cannot reuse a factorised embedding; set "
                         "tied_embeddings = false or embedding_width = 0")  # fmt: skip
    if classifier != (architecture.classes > 0):
        raise InputError(f"classes: expected {'at least 1' if classifier else '0'} for {architecture.task}, "
                         f"got {architecture.classes}")  # fmt: skip
    if classifier and architecture.causal and architecture.pooling == "first":
        raise InputError("pooling: expected mean in a decoder, whose first token sees only itself, got first")
    if architecture.exits and not classifier:
        raise InputError(f"exits: expected false for {architecture.task}, got true; only classifiers have exits")
    check_number_format(architecture.number_format, architecture.exponent_bits)


def check_number_format(number_format: NumberFormat, exponent_bits: int) -> None:
    """Refuse exponents of integers, and AdaptivFloat without.

    Raises:
        InputError: says what was expected and what came.
    """
    # With one bit, AdaptivFloat's lowest exponent would lie above its highest.
    if (number_format == "adaptivfloat") != (exponent_bits > 0) or exponent_bits == 1:
        raise InputError(f"exponent_bits: expected at least 2 for adaptivfloat and 0 for integer, "
                         f"got {exponent_bits} for {number_format}")  # fmt: skip


def check_setting(architecture: Architecture, setting: Setting) -> None:
    """Refuse what is no sub-network of the architecture.

    Raises:
        InputError: names the field, the layer, the range and what came.
    """
    _in_range("hidden", setting.hidden, 1, architecture.hidden, "")
    _in_range("layers", len(setting.layers), 1, architecture.layers, "")
    for i, layer in enumerate(setting.layers):
        where = f" (layer {i})"
        _in_range("heads", layer.heads, 0, architecture.heads, where)
        _in_range("ffn", layer.ffn, 0, architecture.ffn, where)
        _in_range("span", layer.span, 0, None, where)
        for name in ("attention_density", "ffn_density"):
            if not 0 < getattr(layer, name) <= 1:
                raise InputError(f"{name}: expected above 0, at most 1, got {getattr(layer, name)}{where}")
        least = architecture.exponent_bits + 1 if architecture.exponent_bits else 2
        for name in ("weight_bits", "activation_bits"):
            if getattr(layer, name):
                _in_range(name, getattr(layer, name), least, 32, where)
    if setting.reach and len(setting.reach) != len(setting.layers):
        raise InputError(f"reach: expected one number for each of {len(setting.layers)} layers, got {setting.reach}")
    for i, reach in enumerate(setting.reach):
        _in_range("reach", reach, 0, architecture.context, f" (layer {i})")
    if architecture.shared_layers and len({replace(layer, span=0) for layer in setting.layers}) > 1:
        raise InputError("layers: expected equal ones but for spans, because shared_layers is set, got different ones")


def _in_range(name: str, value: int, least: int, most: int | None, where: str) -> None:
    if value < least or (most is not None and value > most):
        expected = f"{least}..{most}" if most is not None else f"{least} or more"
        raise InputError(f"{name}: expected {expected}, got {value}{where}")

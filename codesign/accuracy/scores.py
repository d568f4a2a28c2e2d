"""Training-free scores as proxies: `score:synflow` and the others by name, and tables of them.

A score is higher where a network is said to be better, and any number. As quality, lower is better and positive:

q = exp(-asinh(s)) = 1 / (s + √(s² + 1))

so that q ≈ 1 / (2 s) for large s. Only the order means something. There is no error estimate, and nothing says where
a score stops to hold: docs/accuracy.md tells how well each ranks trained networks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.accuracy.identity import digest
from codesign.accuracy.proxy import SCORE_AT, SHAPE_GENES, Errors, Quality
from codesign.accuracy.score_counts import decoder_parameters, flops, non_embedding_parameters
from codesign.design import BoolArray, Family, FloatArray, ModelShape
from codesign.elastic.architecture import Architecture
from codesign.elastic.setting import Setting
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError, ProxyError, unknown_name
from codesign.layer_fields import DENSITIES, GROUPED
from codesign.scoring import flow, gradients, hidden, jacobian
from codesign.scoring.candidate import Candidate, Windows
from codesign.text.corpus import shipped
from codesign.text.packing import pack, windows
from codesign.text.tokenizer import SHIPPED, shipped_tokenizer

BATCH, LENGTH = 8, 128
"""Windows of text that a score sees, and tokens of each (the positions of the family, if these are fewer)."""

CORPUS = "sotu"
EVERY = 20
"""Of the training documents, one in so many is enough text."""


@dataclass(frozen=True)
class Score:
    """One score, and what it cannot see."""

    of: Callable[[Candidate], float]
    """Higher is said to be better; any finite number."""
    blind: frozenset[str] = frozenset()
    """Fields of a shape that it does not depend on."""
    network: bool = True
    """Whether it builds the network: only for families of which an elastic model exists."""


def _flops(candidate: Candidate) -> float:
    return flops(candidate.shape, candidate.windows.shape[1] - 1)


BITS = frozenset({"weight_bits", "activation_bits"})

SCORES: dict[str, Score] = {
    "parameters": Score(lambda one: non_embedding_parameters(one.shape), frozenset(GROUPED), network=False),
    "decoder_parameters": Score(lambda one: decoder_parameters(one.shape), frozenset(GROUPED), network=False),
    "flops": Score(_flops, BITS, network=False),
    "attention_confidence": Score(hidden.attention_confidence),
    "softmax_confidence": Score(hidden.softmax_confidence),
    "head_confidence": Score(hidden.head_confidence),
    "synaptic_diversity": Score(gradients.synaptic_diversity),
    "synaptic_saliency": Score(gradients.synaptic_saliency),
    "synflow": Score(flow.synflow, frozenset({"span", "activation_bits"})),
    "snip": Score(gradients.snip),
    "grasp": Score(gradients.grasp),
    "gradient_norm": Score(gradients.gradient_norm),
    "jacobian_covariance": Score(jacobian.jacobian_covariance),
    "w_pca": Score(hidden.w_pca),
}
"""Name of a training-free score -> what it is."""


def score_table(
    architecture: Architecture,
    settings: Sequence[Setting],
    names: Sequence[str],
    seed: int,
    text: Windows | None = None,
) -> dict[str, FloatArray]:
    """Score sub-networks as networks of their own at random initialisation.

    Args:
        architecture: holds all of them; each is built at its own size.
        settings: n sub-networks.
        names: of SCORES.
        seed: of the initial weights, the same for all.
        text: (b, t + 1) tokens; None = `text_of` the vocabulary and context of the architecture.

    Returns:
        Name -> (n,) scores, higher being said to be better.

    Raises:
        InputError: an unknown score, or a setting that is no sub-network.
    """
    chosen = [_score(name) for name in names]
    seen = text_of(architecture.vocabulary, architecture.context) if text is None else text
    rows = []
    for setting in settings:
        candidate = Candidate(shape_of(architecture, setting), seen, seed, architecture)
        rows.append([score.of(candidate) for score in chosen])
    table = np.array(rows, dtype=np.float64).reshape(len(settings), len(names))
    return {name: table[:, column] for column, name in enumerate(names)}


@functools.lru_cache(maxsize=4)
def text_of(vocabulary: int, context: int) -> Windows:
    """Return (BATCH, t + 1) tokens of real text, t = LENGTH or the context if that is shorter.

    The text is that of the shipped corpus, in the largest shipped tokenizer that fits the vocabulary: untrained
    embeddings of one token are as good as of another, so only how often tokens repeat depends on the tokenizer.

    Raises:
        InputError: a vocabulary smaller than that of every shipped tokenizer.
    """
    fitting = [size for name, size in SHIPPED if name == CORPUS and size <= vocabulary]
    if not fitting:
        least = min(size for name, size in SHIPPED if name == CORPUS)
        raise InputError(f"vocabulary: expected at least {least}, that of the smallest shipped tokenizer, "
                         f"got {vocabulary}")  # fmt: skip
    stream = pack(shipped(CORPUS).train[::EVERY], shipped_tokenizer(CORPUS, max(fitting)))
    cut = windows(stream, min(LENGTH, context))
    return np.asarray(cut[np.linspace(0, len(cut) - 1, BATCH).astype(np.int64)])


def quality_of(score: FloatArray) -> FloatArray:
    """Return (n,) positive numbers, lower where a score is higher: exp(-asinh(s))."""
    return np.asarray(np.exp(-np.arcsinh(score)))


@dataclass(frozen=True)
class ScoreProxy:
    """A training-free score as a proxy: each shape is built at its own size and scored."""

    score: str
    """Key of SCORES."""
    seed: int = 0

    def __post_init__(self) -> None:
        _score(self.score)

    @property
    def name(self) -> str:
        """See `Proxy`."""
        return f"{SCORE_AT}{self.score}"

    @property
    def reads(self) -> frozenset[str]:
        """See `Proxy`: all that the score is not blind for."""
        return SHAPE_GENES - SCORES[self.score].blind

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse spaces that vary what the score is blind for, and families whose networks cannot be built.

        Raises:
            ProxyError: names the field and its values, and what to use instead.
        """
        for name in sorted(SCORES[self.score].blind & set(choices)):
            # A density of 1, and any value that all shapes have, makes no difference that could be missed.
            if len(set(choices[name])) > 1:
                kind = "densities" if name in DENSITIES else "values"
                raise self._refusal(f"see {name}: the space has the {kind} {sorted(set(choices[name]))}")
        if not SCORES[self.score].network:
            return
        if len(family.stacks) != 1:
            raise self._refusal(f"build networks of the stacks {', '.join(family.stacks)}; it takes one")
        if family.positions not in ("learned", "none"):
            raise self._refusal(f"build networks with {family.positions} positions; it takes learned ones or none")
        for name, leader in (("kv_heads", "heads"), ("value_width", "head_width")):
            if name in choices and (len(set(choices[name])) > 1 or set(choices[name]) != set(choices[leader])):
                raise self._refusal(f"build networks whose {name} are not {leader}")
        try:
            self._text(family)
        except InputError as error:
            raise self._refusal(f"find text: {error}") from None

    def predict(self, shape: ModelShape) -> Quality:
        """Build and score n shapes, one after another.

        Raises:
            ProxyError: a shape whose network cannot be built, or whose score is not finite.
        """
        text = self._text(shape.family)
        try:
            score = np.array([self._scored(shape, row, text) for row in range(len(shape))])
        except InputError as error:
            raise self._refusal(f"score a shape: {error}") from None
        nothing: BoolArray = np.zeros(len(shape), dtype=np.bool_)
        return Quality(f"{self.score}_score", quality_of(score), np.full(len(shape), np.nan), nothing)

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,  # noqa: ARG002 - the protocol's
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's
    ) -> FloatArray:
        """Return NaN: a score has no error estimate."""
        return np.full(len(shape), np.nan)

    def identity(self) -> str:
        """Return the hash of what is scored; text and equations come with the package."""
        return digest(self.score, str(self.seed))

    def _scored(self, shape: ModelShape, row: int, text: Windows) -> float:
        return SCORES[self.score].of(Candidate(shape.take(np.array([row])), text, self.seed))

    def _text(self, family: Family) -> Windows:
        limited = family.positions == "learned" and family.position_count > 0
        context = family.position_count if limited else LENGTH
        if not SCORES[self.score].network:  # it reads no token, only how many there are
            return np.zeros((BATCH, min(context, LENGTH) + 1), dtype=np.int32)
        return text_of(family.vocabulary, context)

    def _refusal(self, what: str) -> ProxyError:
        return ProxyError(f"proxy {self.name!r} cannot {what}; change the search space, or use another proxy")


def _score(name: str) -> Score:
    if name not in SCORES:
        raise unknown_name("score", name, SCORES)
    return SCORES[name]

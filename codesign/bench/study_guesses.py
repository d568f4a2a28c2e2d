"""What every proxy says of the networks of the study, and what asking costs. A lower guess says a lower loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codesign.accuracy.fitted import fit
from codesign.accuracy.fitted_features import Features, gene_features, shape_features, side_by_side
from codesign.accuracy.proxy import SUPERNET_AT, SURROGATES, TRAINED_AT, shipped_network
from codesign.accuracy.scores import SCORES, ScoreProxy, score_table
from codesign.accuracy.supernet import FULL_WINDOWS, SCREENING_WINDOWS, Supernet
from codesign.accuracy.surrogate import read_fit, terms
from codesign.bench.study_nets import Net, genomes_of
from codesign.design import FloatArray, IntArray, ModelShape
from codesign.elastic.architecture import architecture_of
from codesign.elastic.setting import settings
from codesign.errors import ProxyError
from codesign.parameters import parameters
from codesign.space import SearchSpace

SMOOTHED_SHAPES = 300
"""Random shapes that the supernet measures to fit what smooths it; the networks of the study are not among them."""

SEED = 0


@dataclass(frozen=True)
class Guess:
    """One proxy's opinion of n networks."""

    name: str
    values: FloatArray  # (n,) lower is better; NaN where it has none
    seconds: float
    """Of one core, to ask for one network; what is fitted once is shared out among the n."""
    refused: bool = False
    """Whether a search of the space with this proxy is refused, because it varies what the proxy cannot see."""


@dataclass(frozen=True)
class Asked:
    """The networks that are guessed."""

    space: SearchSpace
    nets: Sequence[Net]
    genomes: IntArray  # (n, genes)
    others: Sequence[Net] = ()
    """The same shapes trained by other, shorter recipes."""
    networks: Sequence[Path] = ()
    """Directories of trained elastic networks that guess beside the shipped one."""

    @property
    def shape(self) -> ModelShape:
        """Their n shapes."""
        return self.space.decode(self.genomes).shape


def asked_of(
    space: SearchSpace, nets: Sequence[Net], others: Sequence[Net] = (), networks: Sequence[Path] = ()
) -> Asked:
    """Return the question.

    Raises:
        InputError: a network that is no shape of the space.
    """
    return Asked(space, nets, genomes_of(space, nets), others, networks)


def supernet_guesses(asked: Asked) -> list[Guess]:
    """Return the shipped supernet's, where it is a network of the space, and those of the networks named.

    Raises:
        ProxyError: a named network whose sub-networks the space's shapes are not.
    """
    shipped = Supernet("supernet", shipped_network("supernet"))
    named = [Supernet(f"{SUPERNET_AT}{path.name}", path) for path in asked.networks]
    for network in named:
        network.check(asked.space.family, asked.space.choices())
    with suppress(ProxyError):
        shipped.check(asked.space.family, asked.space.choices())
        named.insert(0, shipped)
    return [guess for network in named for guess in _network_guesses(asked, network)]


def _network_guesses(asked: Asked, screening: Supernet) -> list[Guess]:
    """Return one network's, at both budgets, and smoothed."""
    network = screening.name
    shape = asked.shape
    screened, seconds = _measured(screening, shape)
    full, full_seconds = _measured(replace(screening, window_count=FULL_WINDOWS, losses={}), shape)
    drawn = asked.space.sample(np.random.default_rng(SEED), SMOOTHED_SHAPES)
    drawn_loss, _ = _measured(screening, asked.space.decode(drawn).shape)
    found = [
        Guess(f"{network}, {SCREENING_WINDOWS} windows", screened, seconds),
        Guess(f"{network}, {FULL_WINDOWS} windows", full, full_seconds),
    ]
    for kind, columns in FEATURES.items():
        start = time.process_time()
        smooth = fit(columns(asked.space, drawn), drawn_loss, seed=SEED)
        predicted, _ = smooth.predict(columns(asked.space, asked.genomes))
        each = (time.process_time() - start) / len(shape) + seconds * SMOOTHED_SHAPES / len(shape)
        found.append(Guess(f"{network}, smoothed by {kind}", predicted, each))
        found.append(
            Guess(f"{network}, mean of measured and smoothed by {kind}", (predicted + full) / 2, each + full_seconds)
        )
    return found


FEATURES: dict[str, Callable[[SearchSpace, IntArray], Features]] = {
    "sizes": lambda space, genomes: shape_features(space.decode(genomes).shape),
    "genes": lambda space, genomes: side_by_side(
        shape_features(space.decode(genomes).shape), gene_features(space, genomes)
    ),
}
"""Columns of the surrogate that smooths the supernet."""


def score_guesses(asked: Asked) -> list[Guess]:
    """Return those of all training-free scores, counts among them; also of those that the space is refused for."""
    shape = asked.shape
    architecture = architecture_of(shape, context=asked.space.family.position_count)
    found = []
    for name in SCORES:
        start = time.process_time()
        score = score_table(architecture, settings(shape, shape.family.stacks[0]), [name], SEED)[name]
        seconds = (time.process_time() - start) / len(shape)
        found.append(Guess(f"score:{name}", -score, seconds, _refused(name, asked.space)))
    return found


def law_guesses(asked: Asked) -> list[Guess]:
    """Return those of the surrogates fitted to published networks, as their quadratic in two counts says.

    As proxies they refuse spaces with removed FFNs, spans, densities and bits; the quadratic sees none of these. A
    network without any FFN has no guess.
    """
    start = time.process_time()
    counts = parameters(asked.shape)
    known = (counts["attention"] > 0) & (counts["ffn"] > 0)
    found = []
    for name, nets in SURROGATES.items():
        values = np.full(len(known), np.nan)
        values[known] = terms(counts["attention"][known], counts["ffn"][known]) @ np.array(read_fit(nets).coefficients)
        found.append(Guess(name, values, (time.process_time() - start) / len(known), refused=True))
    return found


def training_guesses(asked: Asked) -> list[Guess]:
    """Return those of shorter trainings of the same shapes, one a recipe."""
    found = []
    for recipe in dict.fromkeys(net.recipe for net in asked.others):
        by_setting = {net.setting: net for net in asked.others if net.recipe == recipe}
        same = [by_setting.get(net.setting) for net in asked.nets]
        values = np.array([np.nan if net is None else net.loss for net in same])
        seconds = [net.seconds for net in same if net is not None]
        if seconds:
            found.append(Guess(f"{TRAINED_AT}{recipe}", values, float(np.mean(seconds))))
    return found


GUESSES: tuple[Callable[[Asked], list[Guess]], ...] = (supernet_guesses, training_guesses, score_guesses, law_guesses)
"""Everything that is asked."""


def _measured(proxy: Supernet, shape: ModelShape) -> tuple[FloatArray, float]:
    """(n,) nats a token, and seconds a shape; the first one, which loads the network, is measured before."""
    proxy.predict(shape.take(slice(0, 1)))
    start = time.process_time()
    loss = np.log(proxy.predict(shape).value)
    return loss, (time.process_time() - start) / max(1, len(shape) - 1)


def _refused(score: str, space: SearchSpace) -> bool:
    try:
        ScoreProxy(score).check(space.family, space.choices())
    except ProxyError:
        return True
    return False

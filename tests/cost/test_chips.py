"""Costs of shapes on all accelerators of a list."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.cost import technology
from codesign.cost.chips import CHIP_METRICS, Chips
from codesign.cost.estimate import estimate
from codesign.cost.prepare import Fidelity
from codesign.design import IntArray
from codesign.space import SearchSpace
from codesign.space_file import read_space


def on_random_chips(space: SearchSpace, seed: int, shapes: int, chips: int) -> tuple[IntArray, IntArray, IntArray]:
    """Genomes of shapes and of accelerators, and (shapes * chips, genes) of all their pairs."""
    rng = np.random.default_rng(seed)
    columns = [place for place, gene in enumerate(space.genes) if gene.on_accelerator]
    own, others = space.sample(rng, shapes), space.sample(rng, chips)
    pairs = np.repeat(own, chips, axis=0)
    pairs[:, columns] = np.tile(others[:, columns], (shapes, 1))
    return own, others, pairs


@pytest.mark.parametrize(
    ("name", "model", "fidelity"),
    [
        ("tiny", "unit", "ideal"),
        ("sotu_lm", "gemmini_40nm", "ideal"),
        ("sotu_lm", "gemmini_40nm", "calibrated"),
        ("survey_lm_compressed", "gemmini_40nm", "ideal"),
        ("survey_lm", "survey_l2", "ideal"),
        ("sotu_sentences", "edgebert_12nm", "ideal"),
    ],
)
def test_costs_are_those_of_estimate(name: str, model: str, fidelity: Fidelity) -> None:
    """Metrics of every pair equal those of a full estimate, and no pair is below the bounds of its operations."""
    space, cost_model = read_space(name).content, technology.read(model).content
    own, others, pairs = on_random_chips(space, 0, shapes=7, chips=9)
    try:
        truth = estimate(space.decode(pairs), space.scenario, cost_model, fidelity).metrics()
    except Exception as error:  # a dataflow or calibration that the cost model lacks is refused alike
        with pytest.raises(type(error)):
            Chips(space.decode(others).accelerator, space.scenario, cost_model, fidelity).items(space.decode(own).shape)
        return
    chips = Chips(space.decode(others).accelerator, space.scenario, cost_model, fidelity)
    chips.items(space.decode(own[:3]).shape)  # what was learned in portions is the same
    items = chips.items(space.decode(own).shape)
    rows, places = np.repeat(np.arange(7), 9), np.tile(np.arange(9), 7)
    cycles, energy = chips.exact(items, rows, places)
    fits = np.isfinite(truth["edp_js"])
    np.testing.assert_array_equal(np.isfinite(cycles), fits)
    found = chips.metrics(cycles, energy, places)
    for metric in {*CHIP_METRICS} & {*truth}:
        np.testing.assert_allclose(found[metric][fits], truth[metric][fits], rtol=1e-12, err_msg=metric)
    for bound, reached in zip(chips.least(items), (cycles, energy), strict=True):
        assert (bound[rows, places][fits] <= reached[fits] * (1 + 1e-12)).all()
        assert np.isinf(bound[rows, places][~fits]).all()


def test_each_operation_is_mapped_once() -> None:
    """Shapes made of operations that are known already add nothing to what is remembered."""
    space, cost_model = read_space("tiny").content, technology.read("unit").content
    own, others, _ = on_random_chips(space, 1, shapes=40, chips=4)
    chips = Chips(space.decode(others).accelerator, space.scenario, cost_model, "ideal")
    first = chips.items(space.decode(own).shape)
    known = chips.least(first)[0].shape, len(chips._known)
    again = chips.items(space.decode(own[::-1]).shape)
    assert (chips.least(again)[0].shape, len(chips._known)) == known
    np.testing.assert_array_equal(chips.least(again)[0], chips.least(first)[0][::-1])

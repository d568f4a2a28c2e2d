"""What every training-free score promises, and what each one's definition implies."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from codesign.accuracy.scores import SCORES, score_table
from codesign.design import Scenario
from codesign.elastic.architecture import Architecture, largest
from codesign.elastic.network import Batch, outputs
from codesign.elastic.parts import Affine
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError
from codesign.operations import effective_macs, macs
from codesign.parameters import parameters
from codesign.scoring.candidate import Candidate, Windows
from codesign.scoring.flow import synflow
from codesign.scoring.gradients import snip
from codesign.scoring.hidden import attention_confidence, sublayers, w_pca
from codesign.workload import workload
from tests.elastic.drawn import CONTEXT, architectures, settings_of

few = runs(max_examples=25, deadline=None)

DECODER = Architecture(vocabulary=50, context=16, hidden=24, layers=3, heads=3, head_width=8, ffn=48)
ENCODER = msgspec.structs.replace(
    DECODER, stack="encoder", embedding_norm=True, final_norm=False, task="classification", classes=3, pooler=True,
    exits=True,
)  # fmt: skip
GATED = msgspec.structs.replace(
    DECODER, norm="rmsnorm", gated_ffn=True, activation="silu", tied_embeddings=False, embedding_width=8,
    shared_layers=True,
)  # fmt: skip
FAMILIES = {"decoder": DECODER, "encoder": ENCODER, "gated": GATED}
POSITIVE = sorted(set(SCORES) - {"grasp", "jacobian_covariance"})


def text(seed: int = 0, vocabulary: int = 50, length: int = 16) -> Windows:
    """Draw windows of tokens."""
    return np.random.default_rng(seed).integers(0, vocabulary, (4, length + 1)).astype(np.int32)


def candidate(a: Architecture, setting: Setting | None = None, seed: int = 0, words: int = 0) -> Candidate:
    """Return a sub-network, the whole one by default, with drawn text."""
    return Candidate(shape_of(a, setting or largest(a)), text(words, a.vocabulary, a.context), seed, a)


def small(a: Architecture) -> Setting:
    """Return a small sub-network with everything that a setting can say."""
    layer = LayerSetting(2, 32, span=4, attention_density=0.5, ffn_density=0.5, weight_bits=8, activation_bits=8)
    return Setting(16, (layer,) * 2)


@pytest.mark.parametrize("name", list(SCORES))
@pytest.mark.parametrize("family", list(FAMILIES))
def test_scores_are_finite_and_repeat(name: str, family: str) -> None:
    """A score is a finite number, the same for the same shape, text and seed, and positive where it says so."""
    a = FAMILIES[family]
    for setting in (largest(a), small(a)):
        values = [SCORES[name].of(candidate(a, setting)) for _ in range(2)]
        assert math.isfinite(values[0])
        assert values[0] == values[1]
        assert values[0] > 0 or name not in POSITIVE


@pytest.mark.parametrize("name", [name for name, score in SCORES.items() if score.network])
def test_other_seeds_are_other_networks(name: str) -> None:
    """A score of a network depends on its weights."""
    assert SCORES[name].of(candidate(DECODER)) != SCORES[name].of(candidate(DECODER, seed=1))


@pytest.mark.parametrize("name", ["attention_confidence", "softmax_confidence"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_span_of_the_context_is_all(name: str, family: str) -> None:
    """A span that is the context hides nothing, also of an encoder, which sees half of its span to either side."""
    a = FAMILIES[family]
    named, silent = (Setting(24, (LayerSetting(3, 48, span=span),) * 3) for span in (a.context, 0))
    assert SCORES[name].of(candidate(a, named)) == SCORES[name].of(candidate(a, silent))


@pytest.mark.parametrize("name", list(SCORES))
def test_scores_are_blind_for_what_they_say(name: str) -> None:
    """A score changes with each field of a layer but those that it is blind for."""
    plain = LayerSetting(3, 48, span=16, weight_bits=8, activation_bits=8)
    base = SCORES[name].of(candidate(DECODER, Setting(24, (plain,) * 3)))
    others: dict[str, Any] = {"span": 4, "attention_density": 0.5, "ffn_density": 0.5, "weight_bits": 4}
    others |= {"activation_bits": 4, "heads": 2, "ffn": 32}
    for field, value in others.items():
        changed = LayerSetting(**{**vars(plain), field: value})
        same = SCORES[name].of(candidate(DECODER, Setting(24, (changed,) * 3))) == base
        # A count of components may come out the same.
        assert same == (field in SCORES[name].blind) or name == "w_pca", field


def test_count_scores_are_the_counts() -> None:
    """The parameter scores are those of `codesign.parameters`, the FLOPs twice the products of `codesign.workload`."""
    shape = shape_of(DECODER, largest(DECODER))
    counts = {part: int(number[0]) for part, number in parameters(shape).items()}
    table = score_table(DECODER, [largest(DECODER)], ["parameters", "decoder_parameters", "flops"], 0, text())
    assert table["parameters"].tolist() == [counts["attention"] + counts["ffn"] + counts["norms"]]
    assert table["decoder_parameters"].tolist() == [counts["attention"] + counts["ffn"]]
    work = workload(shape, Scenario(sequence_length=16))
    assert table["flops"].tolist() == [2 * float(macs(work)[0])] == [2 * float(effective_macs(work)[0])]


def test_synflow_ignores_text() -> None:
    """Synflow needs no data: another text gives the same number, and other scores another one."""
    assert synflow(candidate(DECODER, words=1)) == synflow(candidate(DECODER))
    assert snip(candidate(DECODER, words=1)) != snip(candidate(DECODER))


def test_synflow_of_one_matrix() -> None:
    """A network of one FFN of ones: R = v d (1 + f d), and each of two matrices has a flow of v f d²."""
    a = Architecture(vocabulary=5, context=4, hidden=3, layers=1, heads=0, head_width=1, ffn=2, tied_embeddings=False)
    one = candidate(a)
    with torch.no_grad():
        for parameter in one.model.parameters():
            parameter.fill_(-1.0)
    v, d, f = 5, 3, 2
    # Each output is the sum of d channels, and each channel 1 + (sum over f units of d ones).
    assert synflow(one) == 2 * v * d * f * d


@pytest.mark.parametrize(("part", "power"), [("heads", 1), ("layers", 2)])
def test_synflow_scales_with_weights(part: str, power: int) -> None:
    """Scaling the output layer scales synflow; scaling both matrices of a lone sublayer squares that."""
    a = Architecture(vocabulary=9, context=4, hidden=6, layers=1, heads=0, head_width=1, ffn=7, tied_embeddings=False)
    plain, scaled = candidate(a), candidate(a)
    with torch.no_grad():
        for parameter in getattr(scaled.model, part).parameters():
            parameter *= 3.0
    assert synflow(scaled) == pytest.approx(3.0**power * synflow(plain))


@pytest.mark.parametrize("name", ["synflow", "parameters", "flops", "w_pca", "gradient_norm"])
def test_larger_networks_of_a_family_score_higher(name: str) -> None:
    """More width, depth, heads or FFN gives more of what these scores measure."""
    smallest = Setting(12, (LayerSetting(1, 12),))
    grown = [
        Setting(24, (LayerSetting(1, 12),)),
        Setting(24, (LayerSetting(3, 12),)),
        Setting(24, (LayerSetting(3, 48),)),
        Setting(24, (LayerSetting(3, 48),) * 3),
    ]
    values = score_table(DECODER, [smallest, *grown], [name], 0, text())[name]
    assert (np.diff(values) > 0).all()


@given(architectures(), st.booleans())
@few
def test_confidence_is_a_mean_weight(a: Architecture, seed: bool) -> None:
    """The largest weight of a query lies above 1 / t and at most at 1."""
    a = msgspec.structs.replace(a, vocabulary=12)
    found = attention_confidence(candidate(a, seed=int(seed)))
    assert found == 0 if a.heads == 0 else 1 / CONTEXT <= found <= 1


def test_confidence_without_attention_is_zero() -> None:
    """A network none of whose layers has attention is sure of nothing."""
    assert attention_confidence(candidate(DECODER, Setting(24, (LayerSetting(0, 8),)))) == 0


def test_confidence_of_a_short_span() -> None:
    """A query that sees itself alone is sure of it."""
    assert attention_confidence(candidate(DECODER, Setting(24, (LayerSetting(2, 8, span=1),)))) == 1


@given(architectures(), st.booleans())
@few
def test_walk_through_sublayers_is_the_network(a: Architecture, seed: bool) -> None:
    """Run one sublayer at a time, the network ends in the states that its own forward pass ends in."""
    one = candidate(msgspec.structs.replace(a, vocabulary=12), seed=int(seed))
    plain = msgspec.structs.replace(one.architecture, task="language_model", classes=0, exits=False, pooler=False)
    with torch.no_grad():
        entries, states = sublayers(one)
        identity = (Affine(torch.eye(one.setting.hidden), None),)
        ready = one.weights()._replace(final_norm=None, heads=identity)
        torch.testing.assert_close(states, outputs(Batch(one.inputs), ready, one.setting, plain))
    assert sum(entry.attends for entry in entries) == sum(layer.heads > 0 for layer in one.setting.layers)


def test_w_pca_is_parameters_times_components() -> None:
    """W-PCA is a whole number of components for each parameter, at most one a hidden channel and layer."""
    one = candidate(DECODER)
    size = SCORES["parameters"].of(one)
    count = w_pca(one) / size
    assert count == int(count)
    assert 3 <= count <= 3 * DECODER.hidden


@given(architectures(), st.booleans())
@few
def test_table_rows_are_networks_of_their_own(a: Architecture, seed: bool) -> None:
    """A row of a table is what its setting alone scores, whatever the largest of the architecture is."""
    a = msgspec.structs.replace(a, vocabulary=12)
    words = text(0, 12, CONTEXT)
    names = ["synflow", "parameters"]
    both = score_table(a, [largest(a), largest(a)], names, int(seed), words)
    larger = msgspec.structs.replace(a, hidden=a.hidden + 3, ffn=a.ffn + (0 if a.ffn_reparametrised else 2))
    alone = score_table(larger, [largest(a)], names, int(seed), words)
    for name in names:
        assert both[name].tolist() == [alone[name][0]] * 2


def test_settings_of_all_kinds_can_be_scored() -> None:
    """Any sub-network has all scores: removed sublayers, spans, densities and bits included."""

    @given(architectures().flatmap(lambda a: settings_of(a).map(lambda setting: (a, setting))))
    @runs(max_examples=15, deadline=None)
    def law(pair: tuple[Architecture, Setting]) -> None:
        a, setting = msgspec.structs.replace(pair[0], vocabulary=12), pair[1]
        table = score_table(a, [setting], list(SCORES), 0, text(0, 12, CONTEXT))
        assert all(math.isfinite(column[0]) for column in table.values())

    law()


def test_candidates_are_one_shape_with_text() -> None:
    """Several shapes at once, or a single window, are refused with what was expected."""
    one = shape_of(DECODER, largest(DECODER))
    with pytest.raises(InputError, match="expected one shape"):
        Candidate(one.take(np.array([0, 0])), text(), 0)
    with pytest.raises(InputError, match="at least 2"):
        Candidate(one, text()[:1], 0)

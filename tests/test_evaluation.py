"""Evaluations: metrics, limits, and the spaces that are refused because nothing in them can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve
from codesign.cost import technology
from codesign.cost.estimate import COST_METRICS, estimate
from codesign.errors import InputError, ProxyError
from codesign.evaluation import Evaluator, make_evaluator
from codesign.space_file import read_space
from tests.optimize.spaces import space_of, tiny, tiny_text


def evaluator(limits: str = "") -> Evaluator:
    """An evaluator of `tiny` under limits."""
    text = tiny_text({"[baseline.model]": f"[limits]\n{limits}\n[baseline.model]"})
    return make_evaluator(space_of(text), technology.read("gemmini_40nm").content, resolve("surrogate"))


def genomes(n: int = 200) -> Any:
    """(n, genes) designs of `tiny`."""
    return tiny().sample(np.random.default_rng(0), n)


def test_metrics_are_those_of_proxy_and_cost() -> None:
    """Quality comes first, then the cost metrics, each as its own module gives it."""
    found = evaluator()(genomes())
    design = tiny().decode(genomes())
    cost = estimate(design, tiny().scenario, technology.read("gemmini_40nm").content).metrics()
    assert list(found.metrics) == ["perplexity", *COST_METRICS, "leakage_j"]
    for name, column in cost.items():
        np.testing.assert_array_equal(column, found.metrics[name])
    quality = resolve("surrogate").predict(design.shape)
    np.testing.assert_array_equal(quality.value, found.metrics["perplexity"])
    np.testing.assert_array_equal(quality.log_standard_error, found.log_standard_error)
    assert found.feasible.all()


def test_a_violation_is_the_relative_excess() -> None:
    """A design beyond limits is infeasible by the sum of what it has too much, relative to each limit."""
    limits = "delay_s = { max = 0.0004 }\nenergy_j = { times_baseline = 0.5 }"
    found = evaluator(limits)(genomes())
    half = 0.5 * evaluator()(tiny().encode(tiny().baseline)).metrics["energy_j"][0]
    delay, energy = found.metrics["delay_s"], found.metrics["energy_j"]
    expected = np.maximum(delay / 0.0004 - 1, 0) + np.maximum(energy / half - 1, 0)
    np.testing.assert_allclose(found.violation, expected, rtol=1e-12)
    assert 0 < found.feasible.sum() < len(found)
    np.testing.assert_array_equal(found.feasible, (delay <= 0.0004) & (energy <= half))


def test_a_limit_of_exactly_what_the_baseline_has_keeps_it() -> None:
    """A limit of 1 x the baseline does not shut out the baseline."""
    limits = "\n".join(f"{name} = {{ times_baseline = 1.0 }}" for name in ("perplexity", *COST_METRICS))
    assert evaluator(limits)(tiny().encode(tiny().baseline)).feasible.all()


def test_a_design_that_does_not_fit_has_no_cost_and_is_infeasible() -> None:
    """With a scratchpad of one byte nothing can be computed: costs are unknown, quality and area are not."""
    text = tiny_text({"scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = { choices = [0.0009765625, 16] }"})
    space = space_of(text)
    judge = make_evaluator(space, technology.read("gemmini_40nm").content, resolve("surrogate"))
    found = judge(space.sample(np.random.default_rng(0), 100))
    one_byte = space.decode(found.genomes).accelerator.scratchpad_bytes == 1
    assert 0 < one_byte.sum() < 100
    for name in ("edp_js", "energy_j", "delay_s", "cycles"):
        np.testing.assert_array_equal(np.isnan(found.metrics[name]), one_byte)
    np.testing.assert_array_equal(~found.feasible, one_byte)
    for name in ("perplexity", "area_mm2", "macs", "parameters"):
        assert np.isfinite(found.metrics[name]).all()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("area_mm2 = { max = 1e-3 }", r"limits.area_mm2: the smallest model needs 0\.\d+ on its best "
                                      r"accelerator, allowed are 0.001; raise the limit or add smaller choices"),
        ("energy_j = { times_baseline = 1e-6 }", r"limits.energy_j: the smallest model needs"),
        ("parameters = { max = 10 }", r"limits.parameters: the smallest model needs \d+"),
        ("area = { max = 1.0 }", "limit 'area' is no column of this search; known: perplexity, edp_js"),
    ],
)  # fmt: skip
def test_limits_that_no_accelerator_keeps_are_refused(limits: str, message: str) -> None:
    """Where even the smallest model is beyond a cost limit on every accelerator, the search does not begin."""
    with pytest.raises(InputError, match=message):
        evaluator(limits)


def test_a_space_of_many_accelerators_is_let_pass() -> None:
    """Where the accelerators are too many to try, a limit that few of them keep is no reason to refuse."""
    many = ", ".join(str(size) for size in range(1, 73))
    text = tiny_text(
        {
            "pe_rows = { choices = [4, 8] }": f"pe_rows = {{ choices = [{many}] }}",
            "pe_cols = { choices = [4, 8] }": f"pe_cols = {{ choices = [{many}] }}",
            "[baseline.model]": "[limits]\nedp_js = { times_baseline = 1e-9 }\n[baseline.model]",
        }
    )
    space = space_of(text)
    judge = make_evaluator(space, technology.read("gemmini_40nm").content, resolve("surrogate"))
    assert not judge(space.sample(np.random.default_rng(0), 20)).feasible.any()


def test_nothing_fits_any_accelerator() -> None:
    """A space whose only scratchpad holds one byte is refused before anything is searched."""
    text = tiny_text(
        {
            "scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = 0.0009765625",
            "scratchpad_kib = 16\n": "scratchpad_kib = 0.0009765625\n",
        }
    )
    with pytest.raises(InputError, match="no tile fits on chip"):
        make_evaluator(space_of(text), technology.read("unit").content, resolve("surrogate"))


def test_the_surrogate_refuses_what_it_cannot_see() -> None:
    """A space that removes FFNs needs a proxy that can judge that; the message says what to use."""
    space = read_space("survey_lm_ffn_free").content
    with pytest.raises(ProxyError, match=r"ffn = 0.*--proxy module:function"):
        make_evaluator(space, technology.read("gemmini_40nm").content, resolve("surrogate"))


def test_a_dataflow_that_the_cost_model_lacks_is_refused(tmp_path: Path) -> None:
    """A space with an output-stationary array under a cost model without one is refused by name."""
    text = (Path(__file__).parent.parent / "cost_models" / "unit.toml").read_text()
    path = tmp_path / "ws_only.toml"
    path.write_text(text.replace('"weight_stationary", "output_stationary"', '"weight_stationary"'))
    with pytest.raises(InputError, match="the cost model declares weight_stationary; got output_stationary"):
        make_evaluator(tiny(), technology.read(str(path)).content, resolve("surrogate"))

"""How much of the work of a batch of shapes is the same for several of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.bench import BenchOptions, run_bench
from codesign.bench.supernet import shared_layers
from codesign.elastic.setting import LayerSetting, Setting
from codesign.errors import CodesignError, InputError
from codesign.run import open_run

A, B, C = (LayerSetting(heads, 64) for heads in (1, 2, 3))
ROOT = Path(__file__).parents[2]


def test_only_equal_beginnings_are_shared() -> None:
    """Of A B, A C and B, the first layer is shared by two; another hidden size or another order shares nothing."""
    one, two, three = (Setting(64, layers) for layers in ((A, B), (A, C), (B,)))
    assert shared_layers([[one, two, three]]) == {
        "shapes": 3,
        "layer_evaluations": 5,
        "saved_share": pytest.approx(0.2),
    }
    assert shared_layers([[one, Setting(96, (A, B)), Setting(64, (B, A))]])["saved_share"] == 0


def test_sharing_is_within_a_batch_and_repeats_are_free_already() -> None:
    """What an earlier batch measured is neither counted again nor kept for the next one to share."""
    one, two = Setting(64, (A, B)), Setting(64, (A, C))
    assert shared_layers([[one], [two]])["saved_share"] == 0
    again = shared_layers([[one, one], [one, two]])
    assert (again["shapes"], again["layer_evaluations"], again["saved_share"]) == (2, 4, 0)
    with pytest.raises(InputError, match="got none"):
        shared_layers([[]])


def test_a_run_is_looked_at_batch_by_batch() -> None:
    """The figures of a recorded search, without measuring anything; what is no run is refused."""
    (row,) = run_bench("supernet", None, BenchOptions(table=ROOT / "runs" / "reference"))
    batches = len(np.unique(open_run(ROOT / "runs" / "reference").asks.after))
    assert (row["run"], row["batches"]) == ("reference", batches)
    assert batches > 20
    assert 0 < row["saved_share"] < 0.2
    with pytest.raises(CodesignError, match="tests"):
        run_bench("supernet", None, BenchOptions(table=ROOT / "tests"))

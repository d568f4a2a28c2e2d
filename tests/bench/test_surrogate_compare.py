"""Surrogates side by side on trained nets."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from codesign.accuracy.fitted import Z80
from codesign.bench.surrogate import run, table
from codesign.bench.surrogate_compare import PREDICTORS, _judged, compare, fitted, held_out
from codesign.bench.surrogate_nets import LAYERS, NUMBERS, WIDTH, Measured, read_measured
from codesign.errors import InputError
from tests.command_line import call

COLUMNS = (*NUMBERS, *LAYERS, WIDTH)
DEFAULT = PREDICTORS["auto"]


def write_table(path: Path, nets: int = 60, columns: tuple[str, ...] = COLUMNS, **other: str) -> Path:
    """Write a table of made-up nets that follow a law; `other` replaces the text of a column in the second net."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in range(nets):
            layers, hidden, width = int(rng.integers(2, 9)), int(rng.choice([64, 128, 256])), int(rng.choice([32, 64]))
            sizes = rng.integers(256, 2048, layers)
            ffn = int(2 * hidden * sizes.sum())
            net = {
                "n_layer": layers,
                "d_model": hidden,
                "ffn_params": ffn,
                "embedding_params": 1000 * width,
                "nonembedding_params": ffn + 4 * layers * hidden**2,
                "valid_ppl": 400 * ffn**-0.1 * hidden**-0.1 * width**-0.05,
                "d_inner_per_layer": " ".join(map(str, sizes)),
                "n_head_per_layer": "4",
                "d_embed": width,
            } | (other if row == 1 else {})
            writer.writerow({name: net[name] for name in columns})
    return path


def tau(nets: Measured, train_size: int | None, seeds: int) -> float:
    """Mean Kendall's tau of the default predictor."""
    runs = [held_out(nets, DEFAULT, train_size, seed) for seed in range(seeds)]
    return float(np.mean([kendalltau(mean, nets.log_perplexity[rows]).statistic for rows, (mean, _) in runs]))


@pytest.mark.parametrize(("name", "pooled", "few"), [("gpt2_wt103", 0.94, 0.93), ("txl_wt103", 0.895, 0.88)])
def test_trained_nets_are_ranked(name: str, pooled: float, few: float, shared_data: Path) -> None:
    """Held-out nets are ranked as well as the project asks for: in pooled folds, and from 40 nets."""
    nets = read_measured(table(shared_data, name))
    assert tau(nets, None, 1) >= pooled
    assert tau(nets, 40, 8) >= few


def test_constant_columns_do_not_break_the_fit(shared_data: Path, tmp_path: Path) -> None:
    """Nets that all have one depth and one embedding width are fitted as well."""
    with table(shared_data, "txl_wt103").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["n_layer"] == "5"]
    with (tmp_path / "five.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(row | {"d_embed": "-1", "d_model": "128"} for row in rows)
    assert tau(read_measured(tmp_path / "five.csv"), None, 2) > 0.6


def test_every_quintile_of_size_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranking and error of each fifth and of the best; a fifth that equal sizes leave empty is left out."""
    monkeypatch.setattr("codesign.bench.surrogate_compare.PREDICTORS", {"quadratic": fitted("quadratic", True)})
    (figures,) = compare(write_table(tmp_path / "lm_nets_mine.csv"), seeds=1)
    parts = [f"_size_quintile_{k}" for k in range(1, 6)] + ["_top_20_percent"]
    for part in parts:
        assert {f"kendall_tau{part}", f"spearman{part}", f"mape_percent{part}"} < figures.keys()
    errors = [figures[f"mape_percent{part}"] for part in parts[:5]]
    assert np.mean(errors) == pytest.approx(figures["mape_percent"])  # fifths are equally large
    nets = read_measured(tmp_path / "lm_nets_mine.csv")
    alike = replace(nets, non_embedding=np.full(len(nets), 1e6))
    judged = _judged(alike, np.arange(len(nets)), (nets.log_perplexity + 0.1, np.ones(len(nets))))
    counted = {f"{name}_size_quintile_1" for name in ("kendall_tau", "spearman", "mape_percent")}
    assert {key for key in judged if "quintile" in key} == counted


def test_intervals_cover(shared_data: Path) -> None:
    """Four of five nets lie inside their 80 % interval."""
    nets = read_measured(table(shared_data, "gpt2_wt103"))
    rows, (mean, error) = held_out(nets, DEFAULT, None, seed=0)
    inside = np.abs(nets.log_perplexity[rows] - mean) <= Z80 * error
    assert np.mean(inside) == pytest.approx(0.8, abs=0.07)


def test_made_up_law_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of one's own is measured, by folds or by train size; size alone gives no interval."""
    path = write_table(tmp_path / "lm_nets_mine.csv")
    size, *_, best = rows = compare(path, seeds=1)
    assert [row["predictor"] for row in rows] == list(PREDICTORS)
    assert best["set"] == "mine"
    assert best["kendall_tau"] > 0.97
    assert {"kendall_tau_train_20", "kendall_tau_train_40"} < best.keys()
    assert "interval_80_coverage_percent" not in size
    monkeypatch.setattr("codesign.bench.surrogate_compare.PREDICTORS", {"quadratic": fitted("quadratic", True)})
    (few,) = compare(path, train_size=30, seeds=2)
    assert (few["train_size"], few["seeds"]) == (30, 2)
    assert [row["predictor"] for row in run(path, write=False)] == ["quadratic"]


@pytest.mark.parametrize("size", [5, 41])
def test_bad_train_sizes_are_refused(tmp_path: Path, size: int) -> None:
    """Too few to fit, or too few left to judge."""
    with pytest.raises(InputError, match=rf"train size: expected 20..40 of 60 nets, .* got {size}"):
        compare(write_table(tmp_path / "nets.csv"), train_size=size)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As it was asked for."""
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        run(tmp_path / "none.csv", write=False)


def test_write_of_one_table_is_refused(tmp_path: Path) -> None:
    """Shipped coefficients come from the tables whose source is recorded."""
    with pytest.raises(InputError, match="--write: expected the directory of all tables"):
        run(write_table(tmp_path / "nets.csv"), write=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid_ppl": "nan"}, "line 3: valid_ppl: expected a positive number, got 'nan'"),
        ({"d_embed": "0"}, "line 3: d_embed: expected a positive number, got '0'"),
        ({"n_head_per_layer": "4 4 4 4 4 4 4 4 4 4"}, r"line 3: n_head_per_layer: expected 1 or \d numbers"),
        ({"d_inner_per_layer": "many"}, "line 3: d_inner_per_layer: expected a positive number, got 'many'"),
    ],
)
def test_bad_values_are_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    """A value that is none is named by line and column."""
    with pytest.raises(InputError, match=message):
        read_measured(write_table(tmp_path / "nets.csv", **change))


def test_bad_tables_are_refused(tmp_path: Path) -> None:
    """No file, missing columns and too few nets are told."""
    with pytest.raises(InputError, match="cannot be read"):
        read_measured(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"missing columns ffn_params, .*; it has: n_layer, d_model"):
        read_measured(write_table(tmp_path / "nets.csv", columns=("n_layer", "d_model")))
    with pytest.raises(InputError, match="expected at least 25 nets, got 7"):
        read_measured(write_table(tmp_path / "nets.csv", nets=7))


def test_one_table_from_the_command_line(shared_data: Path) -> None:
    """`codesign bench surrogate NETS.csv --train-size 40 --json` fits to 40 nets and judges on the others."""
    nets = shared_data / "lm_nets_gpt2_wt103.csv"
    figures = json.loads(call("bench", "surrogate", nets, "--train-size", "40", "--json"))["figures"]
    rows = {row["predictor"]: row for row in figures}
    assert rows["auto"]["kendall_tau"] > 0.92
    assert rows["auto"]["train_size"] == 40

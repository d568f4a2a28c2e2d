"""The study: how every proxy ranks networks of one space that were trained on their own, and what choosing by it loses.

Rows are told apart by `table`: "nets" says what was trained and how certain the truth is, "proxy" judges one proxy. All
figures of a row are of the networks of which the proxy has an opinion; intervals resample networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from codesign.bench.study_guesses import GUESSES, Asked, Guess, asked_of
from codesign.bench.study_nets import Net, read_nets, write_table
from codesign.bench.study_plan import UNIFORM
from codesign.bench.study_ranks import (
    best,
    ceiling,
    equal_parts,
    inside,
    interval,
    regret,
    resampled,
    seed_deviation,
    tau,
)
from codesign.cost.estimate import estimate
from codesign.cost.technology import read as read_technology
from codesign.design import BoolArray, Design, FloatArray
from codesign.errors import InputError
from codesign.space import SearchSpace
from codesign.space_file import read_space

Row = dict[str, Any]

STRATA = 4
TOP = 0.2
FEWEST = 4
COST_MODEL = "gemmini_40nm"
SIZE = "score:parameters"
"""The guess that others are compared with inside strata."""

SEED = 0


@dataclass(frozen=True)
class Truth:
    """What is known of n networks whoever guesses."""

    loss: FloatArray  # (n,) nats a token
    error: FloatArray  # (n,) standard error, of windows and of seeds where these are known
    size: FloatArray  # (n,) non-embedding parameters
    group: Sequence[str]  # (n,) of `study_plan`
    log_cost: FloatArray  # (n,) ln EDP on the baseline's accelerator

    def take(self, rows: BoolArray) -> Truth:
        """Return some networks."""
        group = [name for name, taken in zip(self.group, rows, strict=True) if taken]
        return Truth(self.loss[rows], self.error[rows], self.size[rows], group, self.log_cost[rows])

    def pairs(self) -> dict[str, BoolArray]:
        """Return the sets of pairs in which ranks are judged, by the name of their column."""
        everywhere = np.ones((len(self.loss), len(self.loss)), dtype=np.bool_)
        drawn = np.array([-1 if name == UNIFORM else int(name.split()[-1]) for name in self.group])
        return {"": everywhere, "_in_strata": inside(equal_parts(self.size, STRATA)), "_at_equal_size": inside(drawn),
                "_top": inside(best(self.loss, TOP).astype(np.int64) - 1)}  # fmt: skip


def run(path: Path, space_name: str, write_to: Path | None = None, networks: Sequence[Path] = ()) -> list[Row]:
    """Judge all proxies by the networks of a table, or of a directory that `--train-to` filled.

    Networks of the recipe with most tokens are the truth, those of other recipes are proxies.

    Args:
        path: the networks.
        space_name: of their search space, or a path.
        write_to: where to write nets.csv, guesses.csv and proxies.png; None = nowhere.
        networks: directories of trained elastic networks to judge beside the shipped one.

    Raises:
        InputError: rows that cannot be read, networks of another space or too few of them.
    """
    nets, space = read_nets(path), read_space(space_name).content
    if others_space := sorted({net.space for net in nets} - {space.name}):
        raise InputError(f"{path}: expected networks of the search space {space.name}, got {', '.join(others_space)}; "
                         "give their --space")  # fmt: skip
    true, repeats, others = split(nets)
    if len(true) < FEWEST:
        raise InputError(f"{path}: expected at least {FEWEST} networks of one recipe, got {len(true)}")
    asked = asked_of(space, true, others, networks)
    guesses = [guess for guessed in GUESSES for guess in guessed(asked)]
    truth = truth_of(asked, repeats)
    rows = [about(true, truth, repeats), *judged(truth, guesses)]
    if write_to is not None:
        from codesign.bench.study_plot import write_plot

        write_table(write_to / "nets.csv", nets)
        write_guesses(write_to / "guesses.csv", true, guesses)
        write_plot(write_to / "proxies.png", truth, guesses, rows)
    return rows


def split(nets: Sequence[Net]) -> tuple[list[Net], list[tuple[Net, Net]], list[Net]]:
    """Return the networks of the longest recipe, pairs of them trained with two seeds, and those of other recipes.

    A network that was trained with several seeds stands there with the smallest, and is a pair with each other one.
    """
    longest = max(nets, key=lambda net: net.tokens).recipe_sha256
    first: dict[int, Net] = {}
    repeats = []
    for net in sorted((net for net in nets if net.recipe_sha256 == longest), key=lambda net: net.seed):
        if net.index in first:
            repeats.append((first[net.index], net))
        else:
            first[net.index] = net
    return sorted(first.values(), key=lambda net: net.index), repeats, [n for n in nets if n.recipe_sha256 != longest]


def truth_of(asked: Asked, repeats: Sequence[tuple[Net, Net]]) -> Truth:
    """Return what is known of the networks; the loss of one that was trained with several seeds is their mean."""
    nets = asked.nets
    of_seeds = seed_deviation(*(np.array([pair[k].loss for pair in repeats]) for k in (0, 1)))
    of_windows = np.array([np.nan if net.paired_error is None else net.paired_error for net in nets])
    losses = [[net.loss, *(other.loss for first, other in repeats if first.index == net.index)] for net in nets]
    seeds = np.array([len(one) for one in losses])
    return Truth(
        loss=np.array([float(np.mean(one)) for one in losses]),
        error=np.hypot(np.nan_to_num(of_windows), np.nan_to_num(of_seeds) / np.sqrt(seeds)),
        size=np.array([float(net.non_embedding) for net in nets]),
        group=[net.group for net in nets],
        log_cost=log_costs(asked),
    )


def log_costs(asked: Asked) -> FloatArray:
    """(n,) ln EDP in J s, each network on the accelerator of the space's baseline.

    Raises:
        InputError: a network that does not fit on it.
    """
    space: SearchSpace = asked.space
    accelerator = space.baseline.accelerator.take(np.zeros(len(asked.nets), dtype=np.int64))
    technology = read_technology(COST_MODEL).content
    edp = estimate(Design(asked.shape, accelerator), space.scenario, technology).metrics()["edp_js"]
    if np.isnan(edp).any():
        raise InputError(f"search space {space.name}: network {int(np.isnan(edp).argmax())} does not fit on the "
                         "accelerator of its baseline; give it larger buffers")  # fmt: skip
    return np.asarray(np.log(edp))


def about(nets: Sequence[Net], truth: Truth, repeats: Sequence[tuple[Net, Net]]) -> Row:
    """Return one row: what was trained, its errors, and the tau that these leave to a perfect proxy."""
    return {
        "table": "nets",
        "recipe": nets[0].recipe,
        "nets": len(nets),
        "tokens": nets[0].tokens,
        "seconds": float(np.mean([net.seconds for net in nets])),
        "loss_low": float(truth.loss.min()),
        "loss_high": float(truth.loss.max()),
        "paired_error": float(np.mean([net.paired_error or np.nan for net in nets])),
        "seed_deviation": seed_deviation(*(np.array([pair[k].loss for pair in repeats]) for k in (0, 1))),
        "repeats": len(repeats),
        **{
            f"ceiling_tau{part}": ceiling(truth.loss, truth.error, pairs, SEED) for part, pairs in truth.pairs().items()
        },
    }


def judged(truth: Truth, guesses: Sequence[Guess]) -> list[Row]:
    """Return one row a proxy, those that rank best first."""
    size = next((guess.values for guess in guesses if guess.name == SIZE), truth.size)
    counts = resampled(len(truth.loss), SEED)
    rows = [_row(truth, guess, size, counts) for guess in guesses]
    return sorted(rows, key=lambda row: -np.nan_to_num(row["kendall_tau"], nan=-2))


def _row(truth: Truth, guess: Guess, size: FloatArray, counts: FloatArray) -> Row:
    """All figures of one proxy."""
    known = np.isfinite(guess.values)
    row: Row = {"table": "proxy", "proxy": guess.name, "nets": int(known.sum())}
    if row["nets"] < FEWEST:
        return row | {"kendall_tau": float("nan"), "not_judged": f"fewer than {FEWEST} networks"}
    part, values = truth.take(known), guess.values[known]
    drawn, once = counts[:, known], np.ones((1, int(known.sum())))
    sets = part.pairs()
    for name, pairs in sets.items():
        row[f"kendall_tau{name}"] = float(tau(values, part.loss, pairs, once)[0])
    row["kendall_tau_low"], row["kendall_tau_high"] = interval(tau(values, part.loss, sets[""], drawn))
    row["spearman"] = float(spearmanr(values, part.loss).statistic) if np.ptp(values) else float("nan")
    row |= _against_size(part, values, size[known], drawn)
    for stratum in range(STRATA):
        alone = inside(np.where(equal_parts(part.size, STRATA) == stratum, 0, -1))
        row[f"kendall_tau_stratum_{stratum + 1}"] = float(tau(values, part.loss, alone, once)[0])
    lost = regret(part.log_cost, values, part.loss)
    return row | {
        "pairs_in_strata": _pairs(sets["_in_strata"]),
        "pairs_at_equal_size": _pairs(sets["_at_equal_size"]),
        "top_nets": int(best(part.loss, TOP).sum()),
        "hypervolume_ratio": lost.hypervolume_ratio,
        "regret_nats": lost.nats,
        "front": lost.chosen,
        "seconds": guess.seconds,
        "refused": guess.refused,
    }


def _against_size(truth: Truth, values: FloatArray, size: FloatArray, counts: FloatArray) -> Row:
    """Interval of the tau inside strata, and how much more it is than that of non-embedding parameters."""
    pairs = truth.pairs()["_in_strata"]
    ours, theirs = (tau(column, truth.loss, pairs, counts) for column in (values, size))
    once = np.ones((1, len(values)))
    gain = tau(values, truth.loss, pairs, once)[0] - tau(size, truth.loss, pairs, once)[0]
    found = {"kendall_tau_in_strata": interval(ours), "gain_over_size_in_strata": interval(ours - theirs)}
    bounds = {
        f"{name}_{end}": value for name, both in found.items() for end, value in zip(("low", "high"), both, strict=True)
    }
    return {"gain_over_size_in_strata": float(gain), **bounds}


def _pairs(pairs: BoolArray) -> int:
    """Count the pairs of a symmetric set, which has a network with itself too."""
    return int((pairs.sum() - np.trace(pairs)) // 2)


def write_guesses(path: Path, nets: Sequence[Net], guesses: Sequence[Guess]) -> None:
    """Write what every proxy said of every network, with its loss."""
    import pandas as pd

    columns = {"index": [net.index for net in nets], "loss": [net.loss for net in nets]}
    table = pd.DataFrame(columns | {guess.name: guess.values for guess in guesses})  # noqa: PD011 - a field of ours
    table.to_csv(path, index=False, float_format="%.6g")

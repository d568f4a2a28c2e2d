"""The study: how every proxy ranks networks of one space that were trained on their own, and what choosing by it loses.

Rows are told apart by `table`: "nets" says what was trained and how certain the truth is, "proxy" judges one proxy (see
`study_judge`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codesign.bench.study_guesses import GUESSES, Asked, Guess, asked_of
from codesign.bench.study_judge import FEWEST, SEED, Row, Truth, judged
from codesign.bench.study_nets import Net, read_nets, write_table
from codesign.bench.study_ranks import ceiling, seed_deviation
from codesign.cost.estimate import estimate
from codesign.cost.technology import read as read_technology
from codesign.design import Design, FloatArray
from codesign.errors import InputError
from codesign.space import SearchSpace
from codesign.space_file import read_space

COST_MODEL = "gemmini_40nm"


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
        write_guesses(write_to / "guesses.csv", true, truth, guesses)
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


def write_guesses(path: Path, nets: Sequence[Net], truth: Truth, guesses: Sequence[Guess]) -> None:
    """Write what every proxy said of every network, with its loss, which is the mean over its seeds."""
    import pandas as pd

    columns = {"index": [net.index for net in nets], "loss": truth.loss}
    table = pd.DataFrame(columns | {guess.name: guess.values for guess in guesses})  # noqa: PD011 - a field of ours
    table.to_csv(path, index=False, float_format="%.6g")

"""What a proxy is worth, given networks that were trained on their own: one row of figures.

All figures of a row are of the networks of which the proxy has an opinion; intervals resample networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from codesign.accuracy.supernet import SCREENING_WINDOWS
from codesign.bench.study_guesses import Guess
from codesign.bench.study_plan import UNIFORM
from codesign.bench.study_ranks import best, equal_parts, inside, interval, regret, resampled, tau
from codesign.design import BoolArray, FloatArray

Row = dict[str, Any]

STRATA = 4
TOP = 0.2
FEWEST = 4
COMPARED = {"size": "score:parameters", "supernet": f"supernet, {SCREENING_WINDOWS} windows"}
"""The guesses that all others are compared with, as `gain_over_...`; one that nobody made is left out."""

RESAMPLED = ("", "_in_strata")
"""Sets of pairs that have intervals."""

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


def judged(truth: Truth, guesses: Sequence[Guess]) -> list[Row]:
    """Return one row a proxy, those that rank best first."""
    by_name = {guess.name: guess.values for guess in guesses}
    others = {label: by_name[name] for label, name in COMPARED.items() if name in by_name}
    counts = resampled(len(truth.loss), SEED)
    rows = [_row(truth, guess, others, counts) for guess in guesses]
    return sorted(rows, key=lambda row: -np.nan_to_num(row["kendall_tau"], nan=-2))


def _row(truth: Truth, guess: Guess, others: Mapping[str, FloatArray], counts: FloatArray) -> Row:
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
    for name in RESAMPLED:
        row |= _ends(f"kendall_tau{name}", tau(values, part.loss, sets[name], drawn))
    row["spearman"] = float(spearmanr(values, part.loss).statistic) if np.ptp(values) else float("nan")
    for label, other in others.items():
        row |= _gains(part, values, other[known], label, drawn)
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


def _gains(truth: Truth, values: FloatArray, other: FloatArray, label: str, counts: FloatArray) -> Row:
    """How much more tau a guess has than another, both of the same networks and of the same resamples."""
    row: Row = {}
    if not np.isfinite(other).all():
        return row  # the other has no opinion of some of these networks
    for part in RESAMPLED:
        name, pairs, once = f"gain_over_{label}{part}", truth.pairs()[part], np.ones((1, len(values)))
        ours, theirs = (tau(guess, truth.loss, pairs, np.vstack([once, counts])) for guess in (values, other))
        row[name] = float((ours - theirs)[0])
        row |= _ends(name, (ours - theirs)[1:])
    return row


def _ends(name: str, values: FloatArray) -> Row:
    low, high = interval(values)
    return {f"{name}_low": low, f"{name}_high": high}


def _pairs(pairs: BoolArray) -> int:
    """Count the pairs of a symmetric set, which has a network with itself too."""
    return int((pairs.sum() - np.trace(pairs)) // 2)

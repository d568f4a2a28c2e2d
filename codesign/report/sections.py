"""The words of the page: what was searched, what was gained, and what stands where nothing was feasible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from codesign.front import Gain
from codesign.report.style import RUN_COLOURS
from codesign.report.summary import BASELINE, SAME, Summary
from codesign.report.table import plain_table
from codesign.report.units import Unit, budget_name, factor, large, number, percent
from codesign.tables import full_text

FIDELITIES = {
    "ideal": "ideal (roofline; Timeloop's assumptions)",
    "calibrated": "calibrated (as RTL; {low:.3g} to {high:.3g} times it, 10th to 90th percentile of a matmul)",
}

TIME = {
    "ideal": (
        "Ideal time: each product takes as long as the slowest of computing and of moving data at each level, all of "
        "them overlapped",
        "Filling and draining the array, loading weights into it, DMA latency, bank conflicts: hardware is slower.",
    ),
    "serial": (
        "Ideal time: each product takes as long as the slowest of computing and of moving data at each level; filling "
        "and draining the array count as computing",
        "DMA latency, bank conflicts: hardware is slower.",
    ),
    "calibrated": (
        "Calibrated time: computing and moving data at each level, with stalls that were fitted to RTL of one array",
        "How the stalls of other arrays, bandwidths and dataflows differ from those that were fitted.",
    ),
}
"""What time is made of, and what is not in it: by fidelity; serial = ideal on an array that loads, computes and drains
one after the other."""

MOST_CLOSEST = 10
"""Infeasible designs listed where no feasible one was found."""

_GAINS_NOTE = """
<p class="note">The two gains at the bottom of a card choose again, with each design’s change taken at one end of its
95 % interval. <i>Too optimistic</i>: the truth is worse than the proxy says (upper end), so only designs count that
keep the budget even then. <i>Too pessimistic</i>: the truth is better (lower end).</p>
"""

_OF_BASELINE = " ({}the baseline’s)"

Units = dict[str, Unit]


def heading(summaries: Sequence[Summary]) -> str:
    """Return the page's title as plain text."""
    pairs = dict.fromkeys(f"{s.run.manifest.space.name} × {s.run.manifest.cost_model.name}" for s in summaries)
    return "; ".join(pairs) if len(summaries) == 1 else f"{len(summaries)} searches: {'; '.join(pairs)}"


def facts(summaries: Sequence[Summary], units: Units) -> str:
    """Return what was searched, by which means, for each run."""
    parts = []
    for position, summary in enumerate(summaries):
        if len(summaries) > 1:
            parts.append(f'<h3 class="run-name">{run_mark(position, summary)}</h3>')
        space, cost_model = summary.descriptions
        parts.append(f'<p class="descriptions">{escape(space)}.<br>Costs: {escape(cost_model)}.</p>')
        items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in _facts(summary, units))
        parts.append(f'<dl class="facts">{items}</dl>')
        parts.append(_recost_warning(summary))
    return "\n".join(parts)


def time_told(summary: Summary) -> tuple[str, str]:
    """Return what time is made of, and what is not in it."""
    fidelity, overlap = summary.run.manifest.fidelity, summary.run.technology.array.overlap.value
    return TIME["serial" if fidelity == "ideal" and overlap < 1 else fidelity]


def run_mark(position: int, summary: Summary) -> str:
    """Return the run's name with its colour."""
    colour = RUN_COLOURS[position % len(RUN_COLOURS)]
    return f'<span class="swatch" style="background:{colour}"></span>{escape(summary.name)}'


def gains(summaries: Sequence[Summary], units: Units) -> str:
    """Return a card for each quality budget of each run, or why there is none."""
    parts = []
    quality = escape(units[summaries[0].quality].label.lower())
    for position, summary in enumerate(summaries):
        if len(summaries) > 1:
            parts.append(f'<h3 class="run-name">{run_mark(position, summary)}</h3>')
        if not summary.gains:
            parts.append(nothing_feasible(summary, units))
            continue
        within = bool(summary.run.judged.feasible[BASELINE])
        cards = "".join(_card(gain, quality, within) for gain in summary.gains)
        parts.append(f'<div class="cards">{cards}</div><p class="note">{escape(extrapolation(summary))}</p>')
    if any(summary.gains for summary in summaries):
        parts.append(_GAINS_NOTE)
    return "\n".join(parts)


def extrapolation(summary: Summary) -> str:
    """Say in one sentence whether baseline or picks lie outside what the proxy knows."""
    marked = summary.run.judged.extrapolated
    picks = sorted({gain.id for gain in summary.gains} - {BASELINE})
    outside = (["the baseline"] if marked[BASELINE] else []) + [f"design {pick}" for pick in picks if marked[pick]]
    if not outside:
        return "The proxy marks neither the baseline nor these designs as extrapolated."
    return (
        f"The proxy extrapolates for {' and '.join(outside)}: outside what it was fitted or measured on, so "
        "what it says of them deserves less trust than its intervals say."
    )


def nothing_feasible(summary: Summary, units: Units) -> str:
    """Say that a run found nothing within the limits, and list the designs that came closest."""
    record = summary.run.judged
    closest = np.argsort(record.violation, kind="stable")[:MOST_CLOSEST]
    names = list(dict.fromkeys([summary.quality, *summary.run.space.objectives, "edp_js", *summary.run.space.limits]))
    rows = [
        [
            str(row),
            number(record.violation[row], 3),
            *(units[name].with_unit(record.metrics[name][row]) for name in names),
        ]
        for row in closest.tolist()
    ]
    table = plain_table(["Design", "Excess over limits", *(units[name].label for name in names)], rows)
    return (
        f'<div class="warning"><strong>No feasible design.</strong> None of the {len(record):,} evaluated designs '
        f"keeps the limits ({escape(limits(summary, units))}) with every cost known. Evaluate more designs "
        f"(<code>codesign resume {escape(summary.name)} --budget N</code>) or loosen the limits.</div>"
        f'<h3 class="run-name">Closest designs</h3>{table}'
        '<p class="note">Excess: value / limit − 1, summed over the limits that are exceeded; 1 more where an '
        "objective is not known, as it is where no tile of some matrix product fits on chip.</p>"
    )


def limits(summary: Summary, units: Units) -> str:
    """Return the limits of the search space in the units shown."""
    found = []
    for name, limit in summary.run.space.limits.items():
        largest = limit.largest(float(summary.run.judged.metrics[name][BASELINE]))
        relation = _OF_BASELINE.format("" if limit.value == 1 else f"{limit.value:g} × ") if limit.of_baseline else ""
        found.append(f"{units[name].label.lower()} ≤ {units[name].with_unit(largest)}{relation}")
    return "; ".join(found) or "none"


def _facts(summary: Summary, units: Units) -> list[tuple[str, str]]:
    manifest, record = summary.run.manifest, summary.run.judged
    scenario, feasible = summary.run.space.scenario, int(record.feasible.sum())
    target = f", target {scenario.target_length}" if scenario.target_length else ""
    return [
        ("Search space", f"{manifest.space.name} ({large(summary.run.space.size())} designs)"),
        ("Cost model", manifest.cost_model.name),
        ("Accuracy proxy", f"{manifest.proxy} ({manifest.quality})"),
        ("Scenario", f"{scenario.phase}, {scenario.sequence_length} tokens{target}, batch {scenario.batch}"),
        ("Limits", limits(summary, units) + ("" if record.feasible[BASELINE] else "; the baseline is beyond them")),
        ("Fidelity of time", fidelity(summary)),
        ("Evaluated designs", f"{len(record):,} of {manifest.budget:,}, {feasible:,} feasible"),
        ("Front", f"{len(summary.front):,} designs over {_objectives(summary, units)}"),
        *([("Full budget", text)] if (text := full_text(summary.run)) else []),
        ("Hypervolume of the search", number(float(summary.convergence.hypervolume[-1]))),
        ("Search", f"{manifest.algorithm}, population {manifest.population}, seed {manifest.seed}"),
        ("Recorded by", f"codesign {manifest.codesign_version}"),
        ("Inputs (SHA-256)", f"space {manifest.space.sha256[:8]}, cost model {manifest.cost_model.sha256[:8]}"),
    ]


def fidelity(summary: Summary) -> str:
    """Say under which assumptions about time the run was searched, and how sure they are."""
    calibration = summary.run.technology.calibration
    if calibration is None:
        return FIDELITIES[summary.run.manifest.fidelity]
    low, high = calibration.low_ratio.value, calibration.high_ratio.value
    return FIDELITIES[summary.run.manifest.fidelity].format(low=low, high=high)


def _objectives(summary: Summary, units: Units) -> str:
    return ", ".join(units[name].label for name in summary.run.space.objectives)


def _card(gain: Gain, quality: str, within: bool) -> str:
    """Return one budget's gain as a card; `within`: the baseline keeps the limits."""
    baseline = "the baseline itself" if within else "none within the limits saves EDP"
    interval = f"{percent(gain.change_low)} to {percent(gain.change_high)}"
    known = math.isfinite(gain.change_low)
    rows = [
        ("Design", baseline if gain.id == BASELINE else str(gain.id)),
        (f"Change of {quality}", percent(gain.change)),
        ("its 95 % interval", interval if known else "not known"),
        ("Gain if the proxy is too optimistic", factor(gain.factor_low)),
        ("Gain if the proxy is too pessimistic", factor(gain.factor_high)),
    ]
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return (
        f'<div class="card"><h3>Within {budget_name(gain.budget)} {quality}</h3>'
        f'<p class="big">{factor(gain.factor)}</p><p class="unit">lower EDP than the baseline</p><dl>{items}</dl></div>'
    )


def _recost_warning(summary: Summary) -> str:
    if summary.recost_difference <= SAME:
        return ""
    return (
        '<p class="warning">This version of codesign costs these designs differently from the one that recorded '
        f"the run (by up to {percent(summary.recost_difference)}). Metrics are as recorded; breakdowns are recomputed "
        "and do not sum to them.</p>"
    )

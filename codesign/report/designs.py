"""The designs of a page as plain data: what hovering shows, and what the comparison with the baseline is drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from codesign.describe import describe_accelerator
from codesign.design import DATAFLOWS, KIB, Design, LayerColumn, ModelShape
from codesign.layer_fields import FOLLOWS, GROUPED
from codesign.report.summary import BASELINE, Summary
from codesign.report.units import GLUE, UNKNOWN, Unit, against, number, percent, rounded

ACCELERATOR_ROWS = ("Array (rows × columns)", "Dataflow", "Scratchpad", "Accumulator", "DRAM bandwidth", "Vector lanes")

LAYER_ROWS = {
    "heads": "Heads",
    "kv_heads": "Key/value heads",
    "head_width": "Head width",
    "value_width": "Value width",
    "ffn": "FFN size",
    "weight_bits": "Weight bits",
    "activation_bits": "Activation bits",
    "attention_density": "Attention density",
    "ffn_density": "FFN density",
    "span": "Attention span",
}

CONSTANT_TEXT = ("head_width", "value_width")
"""Rows that are left out where one value holds for all designs."""

SHORT_DATAFLOWS = {"weight_stationary": "WS", "output_stationary": "OS"}

LISTED = 8
"""Layers up to which hover texts list every layer's value."""


def key(run: int, design_id: int) -> str:
    """Return the name of a design on the page: its run's position and its id."""
    return f"{run}-{design_id}"


def design_records(position: int, summary: Summary, units: dict[str, Unit]) -> dict[str, Any]:
    """Return all details of one run by key, as JSON data; numbers of charts are in the units shown."""
    details, parts = summary.details, summary.details.breakdown
    columns = {
        "energy-by-level": parts.energy_by_level / units["energy_j"].factor,
        "energy-by-kind": parts.energy_by_kind / units["energy_j"].factor,
        "delay-by-kind": parts.delay_by_kind / units["delay_s"].factor,
        "energy-by-layer": parts.energy_by_layer / units["energy_j"].factor,
        "delay-by-layer": parts.delay_by_layer / units["delay_s"].factor,
    }
    records = {}
    fields = layer_fields(details.design.shape)
    for row, design_id in enumerate(details.ids.tolist()):
        design = details.design.take(slice(row, row + 1))
        records[key(position, design_id)] = {
            "id": design_id,
            "run": position,
            "point": [
                rounded([details.metrics[summary.cost][row] / units[summary.cost].factor])[0],
                rounded([details.metrics[summary.quality][row]])[0],
            ],
            "notes": notes(summary, design_id),
            "metrics": {name: rounded([column[row]])[0] for name, column in details.metrics.items()},
            "values": metric_cells(summary, units, row),
            "size": _size(design.shape) + _widths(design.shape),
            "layers": _layer_rows(design.shape, fields),
            "accelerator": _accelerator_cells(design),
            "charts": {name: _chart(column[row].tolist()) for name, column in columns.items()},
            "energy": units["energy_j"].with_unit(details.metrics["energy_j"][row]),
            "delay": units["delay_s"].with_unit(details.metrics["delay_s"][row]),
        }
    return records


def notes(summary: Summary, design_id: int) -> list[str]:
    """Say what is special about a design."""
    row = summary.details.row(design_id)
    found = ["baseline"] if design_id == BASELINE else []
    found += summary.picks.get(design_id, [])
    if tied := summary.ties.get(design_id):
        found.append(f"quality within noise of {' and '.join(map(str, tied))}")
    return found + (["extrapolated"] if summary.details.extrapolated[row] else [])


def metric_cells(summary: Summary, units: dict[str, Unit], row: int) -> list[list[str]]:
    """Return [value, against the baseline] of each metric, in the order of the metrics; quality with its intervals."""
    details, cells = summary.details, []
    for name, column in details.metrics.items():
        if name == summary.quality:
            low, high = details.quality_low[row], details.quality_high[row]
            cells.append([number(column[row]), percent(details.change[row]) if row else "the same"])
            span = f"{number(low)} to {number(high)}" if math.isfinite(low) else UNKNOWN
            cells.append([span, _change_span(summary, row)])
        else:
            cells.append([units[name].with_unit(column[row]), against(column[row], column[0])])
    return cells


def metric_names(summary: Summary, units: dict[str, Unit]) -> list[str]:
    """Return what `metric_cells` are called."""
    return [
        name
        for metric in summary.details.metrics
        for name in ([units[metric].label, "95 % interval"] if metric == summary.quality else [units[metric].label])
    ]


def _change_span(summary: Summary, row: int) -> str:
    low, high = summary.details.change_low[row], summary.details.change_high[row]
    if row == 0:
        return "the same"
    return f"{percent(low)} to {percent(high)}" if math.isfinite(low) else UNKNOWN


def short_texts(design: Design) -> list[str]:
    """Return one line of HTML a design for hover boxes: model, then accelerator."""
    shape, chip = design.shape, design.accelerator
    return [
        f"{_size(shape.take(slice(row, row + 1)))}<br>heads {_brief(_active(shape, 'heads', row))}"
        f" · FFN {_brief(_active(shape, 'ffn', row))}{_optional(shape, row)}"
        f"<br>{chip.pe_rows[row]} × {chip.pe_cols[row]} {SHORT_DATAFLOWS[DATAFLOWS[int(chip.dataflow[row])]]}"
        f" · scratchpad {chip.scratchpad_bytes[row] / KIB:g} KiB"
        f" · accumulator {chip.accumulator_bytes[row] / KIB:g} KiB"
        f"<br>{chip.dram_bytes_per_cycle[row]:g} B/cycle · {chip.vector_lanes[row]} vector lanes"
        for row in range(len(design))
    ]


def _optional(shape: ModelShape, row: int) -> str:
    """Return the optional columns of one shape, a line of HTML each."""
    stated = [name for name in GROUPED if name in shape.layer_columns()]
    return "".join(f"<br>{LAYER_ROWS[name].lower()} {_brief(_active(shape, name, row))}" for name in stated)


def _size(shape: ModelShape) -> str:
    depths = list(zip(shape.family.stacks, shape.layers[0].tolist(), strict=True))
    layers = [f"{depth} {stack}" if len(depths) > 1 else str(depth) for stack, depth in depths]
    return f"{' + '.join(layers)} layers × {shape.hidden[0]} hidden"


def _widths(shape: ModelShape) -> str:
    """Return the head widths of one shape, where one number says them."""
    width, value_width = (np.unique(column[column > 0]).tolist() for column in (shape.head_width, shape.value_width))
    text = f", head width {width[0]}" if len(width) == 1 else ""
    return text + (f", value width {value_width[0]}" if len(value_width) == 1 and value_width != width else "")


def _active(shape: ModelShape, field: str, row: int) -> list[float]:
    values: LayerColumn = shape.layer_columns()[field][row]
    return list(values[shape.active[row]].tolist())


def _brief(values: Sequence[float]) -> str:
    if len(set(values)) == 1:
        return str(values[0])
    return " ".join(map(str, values)) if len(values) <= LISTED else f"{min(values)} to {max(values)}"


def _layer_rows(shape: ModelShape, fields: Sequence[str]) -> dict[str, Any]:
    """Return the per-layer sizes with their names; layers that do not exist are left out."""
    depths = list(zip(shape.family.stacks, shape.layers[0].tolist(), strict=True))
    names = [f"{stack} {i + 1}" if len(depths) > 1 else str(i + 1) for stack, depth in depths for i in range(depth)]
    return {"names": names, "rows": [[LAYER_ROWS[field], _active(shape, field, 0)] for field in fields]}


def layer_fields(shape: ModelShape) -> list[str]:
    """Return the per-layer sizes that a table of these n designs must show: those that vary and follow no other."""
    shown = []
    columns = shape.layer_columns()
    for field in [field for field in LAYER_ROWS if field in columns]:
        column = columns[field]
        follows = field in FOLLOWS and np.array_equal(column, columns[FOLLOWS[field]])
        constant = field in CONSTANT_TEXT and len(np.unique(column[column > 0])) <= 1
        if not follows and not constant:
            shown.append(field)
    return shown


def _accelerator_cells(design: Design) -> list[str]:
    chip = describe_accelerator(design.accelerator)
    return [
        array_text(chip),
        chip["dataflow"].replace("_", " "),
        f"{chip['scratchpad_kib']} KiB",
        f"{chip['accumulator_kib']} KiB",
        f"{chip['dram_bytes_per_cycle']:g} B/cycle",
        str(chip["vector_lanes"]),
    ]


def array_text(chip: dict[str, Any]) -> str:
    """Return the size of a described accelerator's array, kept on one line."""
    return f"{chip['pe_rows']}{GLUE}×{GLUE}{chip['pe_cols']}"


def _chart(values: list[float]) -> list[list[Any]]:
    """Return the numbers of one stack of bars and their shares in percent, as text."""
    total = math.fsum(values)
    shares = [f"{100 * value / total:.0f} %" if math.isfinite(total) and total > 0 else "" for value in values]
    return [rounded(values), shares]

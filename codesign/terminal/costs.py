"""The breakdown of one estimate as tables."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from codesign.terminal.numbers import engineering, interval_text


def cost_tables(rows: dict[str, Any]) -> list[Table]:
    """Return the breakdown of one estimate: totals, then energy and cycles by layer and operation and by level."""
    totals = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("metric", "value", "10th..90th percentile" if rows["intervals"] else ""):
        totals.add_column(name)
    for name, value in (rows["metrics"] | rows["bounds"] | rows["deployment"]).items():
        low_high = rows["intervals"].get(name)
        totals.add_row(name, f"{value:.6g}", interval_text(*low_high) if low_high else "")
    tables = [totals]
    for name, lines in rows["breakdown"].items():
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in (name.replace("by_", ""), "energy", "share", "cycles", "share"):
            table.add_column(column, justify="left" if column == name.replace("by_", "") else "right")
        for line in lines:
            cycles = line.get("cycles")
            table.add_row(
                line["name"],
                engineering(line["energy_j"], "J"),
                f"{line['energy_share']:.1%}",
                "" if cycles is None else f"{cycles:,.0f}",
                "" if cycles is None else f"{line['cycles_share']:.1%}",
            )
        tables.append(table)
    return tables

"""Our mapper against what other tools found for the same matmuls on the same machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codesign.bench.peer_data import DEFINITION, read_peers
from codesign.bench.peers import ACCELFORGE, run
from codesign.errors import InputError


@pytest.fixture(scope="module")
def rows(shared_peers: Path) -> list[dict[str, Any]]:
    """Return all rows: those of single matmuls, then the summaries."""
    return run(shared_peers)


def by_matmul(rows: list[dict[str, Any]], peer: str) -> list[dict[str, Any]]:
    """Return the rows of one peer without its summary."""
    return [row for row in rows if row["comparison"] == peer and "matmul" in row]


@pytest.mark.parametrize(("peer", "count"), [("AccelForge", 72), ("ZigZag", 64), ("Timeloop", 48)])
def test_no_peer_has_a_better_mapping(rows: list[dict[str, Any]], peer: str, count: int) -> None:
    """On every row and for every objective, ours costs no more than the peer's, counted the peer's way."""
    found = by_matmul(rows, peer)
    assert len(found) == count
    for row in found:
        assert row["objective_ratio"] <= 1 + 1e-6, row


def test_perfect_factors_are_accelforges(rows: list[dict[str, Any]]) -> None:
    """Under AccelForge's limits (perfect factors, no partial sums in DRAM) our optimum is AccelForge's on every row."""
    for row in by_matmul(rows, "AccelForge"):
        assert row["perfect_ratio"] == pytest.approx(1, abs=1e-6), row


def test_timeloop_lacks_the_drain(rows: list[dict[str, Any]]) -> None:
    """With the drain that Timeloop leaves out, ours count at least as much as without."""
    for row in by_matmul(rows, "Timeloop"):
        assert row["own_count_energy_ratio"] >= row["energy_ratio"]


def test_zigzags_stalls_are_extra(rows: list[dict[str, Any]]) -> None:
    """Beside ZigZag's time with stalls and loads, ours is no longer."""
    for row in by_matmul(rows, "ZigZag"):
        assert row["stalled_cycles_ratio"] <= 1


def test_summaries_count_the_rows(rows: list[dict[str, Any]]) -> None:
    """A summary's rows are equal, better or worse, and its largest ratio is that of a row."""
    for summary in rows[-3:]:
        found = by_matmul(rows, summary["comparison"])
        assert summary["rows"] == len(found)
        assert summary["rows_equal"] + summary["rows_better"] + summary["rows_worse"] == len(found)
        assert summary["largest_objective_ratio"] == max(row["objective_ratio"] for row in found)


def test_the_folder_is_found_from_its_neighbours(shared_peers: Path) -> None:
    """The folder itself, the one around it and one beside it mean the same."""
    folders = {
        read_peers(data).folder.resolve() for data in (shared_peers, shared_peers.parent, shared_peers / "../data")
    }
    assert folders == {shared_peers.resolve()}


def test_missing_and_damaged_files_are_refused(tmp_path: Path, shared_peers: Path) -> None:
    """No definition, one that is none, a table without a column, and a machine that is not defined are named."""
    with pytest.raises(InputError, match=rf"expected {DEFINITION} there or in the folder peers"):
        run(tmp_path / "peers")
    (tmp_path / DEFINITION).write_text("{}")
    with pytest.raises(InputError, match=rf"{DEFINITION}: not a definition of machines and matmuls: "):
        run(tmp_path)
    (tmp_path / DEFINITION).write_bytes((shared_peers / DEFINITION).read_bytes())
    with pytest.raises(InputError, match=rf"{ACCELFORGE}: cannot be read: "):
        run(tmp_path)
    (tmp_path / ACCELFORGE).write_text("hw,workload,metric,cycles\nA_ws,bert_qkv_128,EDP,1\n")
    with pytest.raises(InputError, match=rf"{ACCELFORGE}: missing columns energy_pj; it has: hw, workload, "):
        run(tmp_path)
    (tmp_path / ACCELFORGE).write_text("hw,workload,metric,energy_pj,cycles\nE_ws,bert_qkv_128,EDP,1,1\n")
    with pytest.raises(InputError, match="hw: expected one of A_ws, A_os, B_ws, got 'E_ws'"):
        run(tmp_path)


def test_machines_are_those_defined(shared_peers: Path) -> None:
    """Array, dataflow, capacities and bandwidth come from the definition."""
    defined = json.loads((shared_peers / DEFINITION).read_text())["hardware"]["B_ws"]
    machine = read_peers(shared_peers).accelerator(["B_ws"])
    assert machine.pe_rows[0] == machine.pe_cols[0] == defined["spatial"][0]["size"]
    assert (machine.scratchpad_bytes[0], machine.accumulator_bytes[0], machine.dataflow[0]) == (262144, 65536, 0)
    assert machine.dram_bytes_per_cycle[0] == 16

"""The joint front of several runs, and searches under a scenario of their own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import codesign
from codesign.errors import InputError
from codesign.picks import choose, joint_front, picked
from codesign.tables import front_record, front_table
from codesign.terminal import engineering, fronts


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[codesign.Run]:
    """Two searches of one space that differ in their seed."""
    where = tmp_path_factory.mktemp("runs")
    return [
        codesign.search("tiny", "gemmini_40nm", budget=120, population=40, seed=seed, directory=where / f"seed{seed}")
        for seed in (0, 1)
    ]


def test_joint_front_is_the_front_of_the_union(runs: list[codesign.Run]) -> None:
    """A design is on the joint front exactly if no feasible design of any run beats it."""
    names = runs[0].space.objectives
    every = np.concatenate([run.evaluations.objectives(names)[run.evaluations.feasible] for run in runs])
    found = 0
    for run, ids in joint_front(runs):
        for values in run.evaluations.objectives(names)[ids]:
            assert not ((every <= values).all(axis=1) & (every < values).any(axis=1)).any()
            found += 1
    beaten = [((every <= row).all(axis=1) & (every < row).any(axis=1)).any() for row in every]
    assert found == len(np.unique(every[~np.array(beaten)], axis=0))


def test_one_run_has_its_own_front(runs: list[codesign.Run]) -> None:
    """The joint front of one run is its front, and so is that of a run with itself."""
    ((_, ids),) = joint_front(runs[:1])
    assert ids.tolist() == runs[0].front_ids().tolist()
    (_, first), (_, second) = joint_front([runs[0], runs[0]])
    assert first.tolist() == runs[0].front_ids().tolist()
    assert second.tolist() == []


def test_tables_of_several_runs_name_the_run(runs: list[codesign.Run]) -> None:
    """Every design says which run it is from, in the table and in the record."""
    chosen = joint_front([runs[0], runs[0], runs[1]])
    table = front_table(chosen)
    record = front_record(chosen)
    assert set(table["run"]) <= {"seed0", "seed1"}
    assert [design["run"] for design in record["designs"]] == table["run"].tolist()
    assert record["run"] == "seed0, seed0, seed1"


def test_several_runs_are_one_table_in_order_of_quality(
    runs: list[codesign.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The joint front is printed as one table, best quality first, each design with its run and id."""
    console = Console(width=400, record=True, file=io.StringIO())
    monkeypatch.setattr(fronts, "out", console)
    fronts.print_joint(joint_front(runs), rows=1000)
    title, header, _, *lines = (line.split() for line in console.export_text().splitlines())
    chosen = {run.name: ids.tolist() for run, ids in joint_front(runs)}
    assert "joint front of" in " ".join(title)
    assert header[:3] == ["run", "id", "perplexity"]
    assert sorted((line[0], int(line[1])) for line in lines) == sorted((n, i) for n, ids in chosen.items() for i in ids)
    quality = [float(line[2].rstrip("*")) for line in lines]
    assert quality == sorted(quality)


def test_a_long_joint_front_is_thinned_at_both_ends_alike(
    runs: list[codesign.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many designs some are shown, the best quality and the least cost among them, and it is said how many."""
    console = Console(width=400, record=True, file=io.StringIO())
    monkeypatch.setattr(fronts, "out", console)
    chosen = joint_front(runs)
    fronts.print_joint(chosen, rows=2)
    text = console.export_text()
    every = {n: c for run, ids in chosen for n, c in zip(run.evaluations.metrics["edp_js"][ids], ids, strict=True)}
    assert f"2 of {sum(len(ids) for _, ids in chosen)} front designs shown" in text
    for edp in (min(every), max(every)):
        assert engineering(edp, "Js") in text


def test_an_address_can_name_a_design(runs: list[codesign.Run]) -> None:
    """RUN#ID is the run and a wish for the design; with another wish it is refused."""
    assert picked("runs/a", "knee") == ("runs/a", "knee")
    assert picked("runs/a#17", None) == ("runs/a", "17")
    assert picked("runs/a#b", None) == ("runs/a#b", None)
    with pytest.raises(InputError, match="runs/a#17: --pick: expected none beside an id, got 'knee'"):
        picked("runs/a#17", "knee")


def test_runs_that_do_not_compare_are_refused(runs: list[codesign.Run], tmp_path: Path) -> None:
    """Runs under another cost model have no joint front, and a pick is from one run."""
    other = codesign.search("tiny", "unit", budget=20, population=10, directory=tmp_path / "unit")
    with pytest.raises(InputError, match=r"cost model: expected gemmini_40nm \(\w{8}\) as in .*, got unit \(\w{8}\)"):
        joint_front([runs[0], other])
    with pytest.raises(InputError, match="expected one run to pick from, got 2"):
        choose(runs, None, "knee")
    with pytest.raises(InputError, match="expected one of them"):
        choose(runs[:1], "area_mm2 < 4", "knee")


def test_a_scenario_file_replaces_the_scenario(tmp_path: Path) -> None:
    """A search under another scenario costs designs in it, and resuming keeps it."""
    scenario = tmp_path / "short.toml"
    scenario.write_text("format = 1\n[scenario]\nsequence_length = 16\n")
    given = codesign.search("tiny", "unit", budget=20, population=10, scenario=scenario, directory=tmp_path / "short")
    own = codesign.search("tiny", "unit", budget=20, population=10, directory=tmp_path / "own")
    assert given.space.scenario.sequence_length == 16
    assert given.evaluations.metrics["macs"][0] < own.evaluations.metrics["macs"][0] / 3
    longer = codesign.resume(tmp_path / "short", budget=30)
    assert longer.space.scenario.sequence_length == 16
    assert longer.evaluations.metrics["macs"][:20].tolist() == given.evaluations.metrics["macs"].tolist()


def test_an_impossible_scenario_is_refused(tmp_path: Path) -> None:
    """A scenario that the models cannot run is refused with its file, before a run is made."""
    scenario = tmp_path / "long.toml"
    scenario.write_text("format = 1\n[scenario]\nsequence_length = 6400\n")
    with pytest.raises(InputError, match=r"long\.toml: position_count: 64 learned positions cannot place 6400"):
        codesign.search("tiny", "unit", scenario=scenario, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()

"""The joint front of several runs, and searches under a scenario of their own."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import codesign
from codesign.comparison import names
from codesign.errors import InputError
from codesign.picks import choose, joint_front, picked
from codesign.tables import front_record, front_table
from codesign.terminal import fronts
from tests.optimize.searches import small_search
from tests.optimize.spaces import NOTHING_FEASIBLE, write_space


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[codesign.Run]:
    """Two searches of one space that differ in their seed."""
    where = tmp_path_factory.mktemp("runs")
    return [
        small_search(where / f"seed{seed}", budget=120, population=40, seed=seed, cost_model="gemmini_40nm")
        for seed in (0, 1)
    ]


COMMAND = (sys.executable, "-m", "codesign")


def done(*command: str, code: int = 0) -> str:
    """What a command printed; it must end with the code."""
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == code, found.stderr
    return found.stdout or found.stderr


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


def printed(runs: list[codesign.Run], rows: int, width: int = 400) -> str:
    """What is printed of the joint front of runs in a terminal of some width."""
    console = Console(width=width, record=True, file=io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fronts, "out", console)
        fronts.print_joint(joint_front(runs), rows)
    return console.export_text()


def test_several_runs_are_one_table_in_order_of_quality(runs: list[codesign.Run]) -> None:
    """The joint front is printed as one table, best quality first, each design with its run and id."""
    title, header, _, *lines = (line.split() for line in printed(runs, rows=1000).splitlines())
    chosen = {run.name: ids.tolist() for run, ids in joint_front(runs)}
    assert " ".join(title).endswith(f"({len(chosen['seed0'])} of seed0, {len(chosen['seed1'])} of seed1)")
    assert header[:3] == ["run", "id", "perplexity"]
    rows = [line for line in lines if line[0] in chosen]
    assert sorted((line[0], int(line[1])) for line in rows) == sorted((n, i) for n, ids in chosen.items() for i in ids)
    quality = [float(line[2].rstrip("*")) for line in rows]
    assert quality == sorted(quality)


def test_a_long_joint_front_is_thinned_at_both_ends_alike(runs: list[codesign.Run]) -> None:
    """Of many designs some are shown, the best and the worst quality among them, and it is said how many."""
    every = [line.split()[:2] for line in printed(runs, rows=1000).splitlines() if line.startswith("seed")]
    text = printed(runs, rows=3)
    shown = [line.split()[:2] for line in text.splitlines() if line.startswith("seed")]
    assert (shown[0], shown[-1], len(shown)) == (every[0], every[-1], 3)
    assert f"3 of {len(every)} front designs shown; all with: codesign front {runs[0].directory}" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_joint_table_never_cuts_a_number(runs: list[codesign.Run], width: int) -> None:
    """However long the names of the runs are, the EDP of every design stands in full."""
    named = [replace(run, directory=run.directory.with_name(f"a-long-name-of-a-run-{run.name}")) for run in runs]
    text = printed(named, 10, width)
    assert "…" not in text
    lines = [line for line in printed(runs, 10).splitlines() if line.startswith("seed")]
    assert len(lines) == 10
    for line in lines:
        edp = " ".join(line.split("..")[1].split()[1:3])
        assert edp in text


def test_runs_of_one_name_are_told_apart(runs: list[codesign.Run], tmp_path: Path) -> None:
    """Runs in directories of one name stand with their addresses, in tables, records and on the page."""
    twins = [replace(run, directory=tmp_path / place / "seed-000") for run, place in zip(runs, "ab", strict=True)]
    assert names(runs) == ["seed0", "seed1"]
    assert names([runs[0], runs[0]]) == ["seed0", "seed0"]
    assert names(twins) == [str(run.directory) for run in twins]
    chosen = joint_front(twins)
    assert set(front_table(chosen)["run"]) == {str(run.directory) for run in twins}
    assert {design["run"] for design in front_record(chosen)["designs"]} == {str(run.directory) for run in twins}
    assert f"of {tmp_path}/b/seed-000)" in printed(twins, 3)


def test_a_joint_front_of_nothing_says_so(tmp_path: Path) -> None:
    """Where no run has a feasible design, that is said and no table printed."""
    space = write_space(tmp_path, NOTHING_FEASIBLE)
    runs = [small_search(tmp_path / str(seed), budget=20, seed=seed, space=space) for seed in (0, 1)]
    assert printed(runs, 24).splitlines()[1:] == [fronts.NOTHING_FEASIBLE]


def test_an_address_can_name_a_design(runs: list[codesign.Run]) -> None:
    """RUN#ID is the run and a wish for the design; with another wish it is refused."""
    assert picked("runs/a", "knee") == ("runs/a", "knee")
    assert picked("runs/a#17", None) == ("runs/a", "17")
    assert picked("runs/a#b", None) == ("runs/a#b", None)
    with pytest.raises(InputError, match="runs/a#17: --pick: expected none beside an id, got 'knee'"):
        picked("runs/a#17", "knee")


def test_commands_take_a_design_by_its_address(runs: list[codesign.Run], tmp_path: Path) -> None:
    """`front RUN#ID` and `export RUN#ID` are about that design; beside other runs or conditions it is refused."""
    address = f"{runs[0].directory}#7"
    (shown,) = json.loads(done(*COMMAND, "front", address, "--json"))["designs"]
    assert shown["id"] == 7
    done(*COMMAND, "export", address, "--to", str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "design.json").read_text())["model"] == shown["model"]
    for wrong in ([address, str(runs[1].directory)], [address, "--where", "area_mm2 < 9"], [address, address]):
        assert "expected RUN#ID alone" in done(*COMMAND, "front", *wrong, code=2)


def test_a_run_whose_name_ends_like_an_address_stays_a_run(runs: list[codesign.Run], tmp_path: Path) -> None:
    """What exists is meant: a directory called run#12 is no design of another run."""
    shutil.copytree(runs[0].directory, tmp_path / "run#12")
    shutil.copytree(runs[1].directory, tmp_path / "run")
    assert picked(str(tmp_path / "run#12"), "knee") == (str(tmp_path / "run#12"), "knee")
    assert picked(str(tmp_path / "run#13"), None) == (str(tmp_path / "run"), "13")


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

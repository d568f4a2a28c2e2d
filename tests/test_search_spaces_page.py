"""The page on search space files says every key, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

import codesign
from codesign.accuracy.proxy import resolve
from codesign.cost.technology import read
from codesign.design import Family, Scenario
from codesign.evaluation import make_evaluator
from codesign.space_file import parse_space
from codesign.space_tables import AcceleratorChoices, Baseline, LimitTable, ModelChoices, SpaceFile

PAGE = (Path(__file__).parent.parent / "docs" / "search_spaces.md").read_text()
(EXAMPLE,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


HEADED = (SpaceFile, Baseline, LimitTable)
"""Tables of which keys are headings or stand in the text."""


def test_every_key_stands_in_the_page_with_its_default() -> None:
    """No key of a table is left out; where one has a plain default, it is the one that is said."""
    said = PAGE.replace(EXAMPLE, "")
    for table in (SpaceFile, Family, ModelChoices, AcceleratorChoices, Scenario, LimitTable, Baseline):
        for field in msgspec.structs.fields(table):
            row = re.search(rf"^\| (?:`\w+`, )*`{field.name}`(?:, `\w+`)* \|\s*([^|]*?)\s*\|", said, flags=re.MULTILINE)
            if table in HEADED and row is None:
                assert re.search(rf"(?:^#.*\[|\{{ ){field.name}\b", said, flags=re.MULTILINE), field.name
                continue
            assert row is not None, f"{table.__name__}.{field.name}"
            if table in (Family, Scenario):
                given = "" if field.required else msgspec.json.encode(field.default).decode()
                assert row[1].strip("` ") == given, field.name


def test_every_cost_stands_in_the_page() -> None:
    """Columns that can be objectives or limits are named."""
    space = parse_space(EXAMPLE, "example", "example.toml").content
    evaluator = make_evaluator(space, read("gemmini_40nm").content, resolve("surrogate"))
    for name in evaluator(space.encode(space.baseline)).metrics:
        assert f"`{name}`" in PAGE, name


def test_the_example_can_be_searched(tmp_path: Path) -> None:
    """What the page prints is a search space."""
    (tmp_path / "mine.toml").write_text(EXAMPLE)
    run = codesign.search(str(tmp_path / "mine.toml"), "gemmini_40nm", budget=40, directory=tmp_path / "run")
    assert len(run.evaluations) >= 40
    assert len(run.front_ids()) > 1


def test_a_machine_without_an_accumulator_can_be_searched(tmp_path: Path) -> None:
    """Outputs live in the scratchpad where the cost model says so; the space then gives an accumulator of 0 KiB."""
    text = EXAMPLE.replace("accumulator_kib = { choices = [4, 16] }", "accumulator_kib = { choices = [0] }")
    text = text.replace("accumulator_kib = 16", "accumulator_kib = 0")
    (tmp_path / "mine.toml").write_text(text)
    run = codesign.search(str(tmp_path / "mine.toml"), "eyeriss_like", budget=40, directory=tmp_path / "run")
    assert len(run.front_ids()) > 1
    assert (run.space.decode(run.evaluations.genomes).accelerator.accumulator_bytes == 0).all()

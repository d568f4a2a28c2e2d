"""The verbs about doing nothing twice, and the option that says where answers are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codesign.accuracy import cache
from tests.command_line import call
from tests.optimize.searches import record_of

FUNCTION = """
asked = []

def size(shape):
    asked.append(len(shape))
    return {"perplexity": 1e3 / shape.hidden}
"""


@pytest.fixture(autouse=True)
def _all_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function takes no time."""
    monkeypatch.setattr(cache, "WORTH_S", 0.0)


def test_answers_of_a_function_are_shared_listed_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two searches with a module's function ask once; `cache` counts what they keep, and --clear removes that only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shared_size.py").write_text(FUNCTION)
    kept = tmp_path / "kept"
    search = ("search", "tiny", "unit", "--proxy", "shared_size:size", "--budget", "30", "--population", "10", "--json")
    for name in ("one", "two"):
        call(*search, "--run", name, "--cache", kept)
    import shared_size

    first = sum(shared_size.asked)
    call(*search, "--run", "plain", "--cache", "none")
    assert sum(shared_size.asked) == 2 * first
    assert record_of(tmp_path / "one") == record_of(tmp_path / "two") == record_of(tmp_path / "plain")
    listed = json.loads(call("cache", "--cache", kept, "--json"))
    assert [(one["proxy"], one["answers"]) for one in listed["kept"]] == [("shared_size:size", first)]
    (kept / "mine.jsonl").write_text("{}\n")
    assert "shared_size:size" in call("cache", "--cache", kept)
    assert "(cleared)" in call("cache", "--cache", kept, "--clear")
    assert [path.name for path in kept.iterdir()] == ["mine.jsonl"]
    assert json.loads(call("cache", "--cache", kept, "--json"))["kept"] == []
    assert call("cache", "--cache", "none") == "no cache\n"

"""Whether screening is compared as users search."""

from __future__ import annotations

import pytest

from codesign.bench import ladder


def test_every_way_searches_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a small budget on the shipped network: as many designs each, and no more shapes than designs."""
    monkeypatch.setattr(ladder, "SEEDS", (0,))
    monkeypatch.setattr(ladder, "BUDGET", 10)
    monkeypatch.setattr(ladder, "POPULATION", 5)
    figures = ladder.run()
    assert [(figure["algorithm"], figure["screen"]) for figure in figures] == list(ladder.WAYS)
    for figure in figures:
        assert figure["designs"] == 10
        assert 2 <= figure["shapes_measured"] <= 10
        assert figure["front"] >= 1

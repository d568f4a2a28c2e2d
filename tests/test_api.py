"""The public Python names."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import codesign
from codesign.errors import ProxyError
from tests.optimize.searches import record_of


def by_width(shape: codesign.ModelShape) -> dict[str, np.ndarray]:
    """A user's own proxy: wide and deep is good."""
    return {"perplexity": 1e4 / (shape.hidden * shape.layers[:, 0])}


def with_error(shape: codesign.ModelShape) -> codesign.Quality:
    """A user's own proxy with an error."""
    n = len(shape)
    return codesign.Quality("perplexity", 1e4 / shape.hidden, np.full(n, 0.05), np.zeros(n, dtype=bool))


def test_every_public_name_exists() -> None:
    """All names of the package lead somewhere, and an unknown one is answered with the known ones."""
    for name in codesign.__all__:
        assert getattr(codesign, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'serach'; it has search, resume"):
        codesign.serach  # noqa: B018


def test_search_stays_a_function() -> None:
    """Importing the packages behind it does not replace `codesign.search`."""
    import codesign.optimize
    import codesign.optimize.loop

    assert callable(codesign.search)
    assert codesign.search is codesign.optimize.loop.search


@pytest.mark.parametrize("proxy", [by_width, with_error])
def test_a_search_with_a_function_gives_a_table(proxy: object, tmp_path: Path) -> None:
    """A function of shapes is a proxy; the run's front is a table of designs under their ids."""
    run = codesign.search("tiny", "unit", proxy=proxy, budget=60, population=20, directory=tmp_path / "run")
    front = run.front()
    assert isinstance(run, codesign.Run)
    assert isinstance(front, pd.DataFrame)
    assert front.index.name == "id"
    assert front.index.tolist() == run.front_ids().tolist()
    assert front["perplexity"].is_monotonic_increasing
    assert run.manifest.proxy == f"tests.test_api:{proxy.__name__}"  # type: ignore[attr-defined]
    again = codesign.open_run(tmp_path / "run")
    pd.testing.assert_frame_equal(front, again.front())
    assert again.gains()[0].factor == run.gains()[0].factor


def test_a_function_of_a_module_resumes_by_its_name(tmp_path: Path) -> None:
    """A run with a function that can be imported is continued without giving the function again."""
    for name, budget in (("whole", 60), ("run", 30)):
        codesign.search("tiny", "unit", proxy=with_error, budget=budget, population=20, directory=tmp_path / name)
    codesign.resume(tmp_path / "run", budget=60)
    assert record_of(tmp_path / "run") == record_of(tmp_path / "whole")


def test_a_function_of_no_module_is_given_again(tmp_path: Path) -> None:
    """A run with a lambda can be read by anybody, and continued by who gives the lambda again."""

    def search(name: str, budget: int) -> codesign.Run:
        return codesign.search(
            "tiny", "unit", proxy=proxy, budget=budget, population=20, directory=tmp_path / name
        )  # fmt: skip

    proxy = lambda shape: {"perplexity": 1e4 / shape.hidden}  # noqa: E731
    search("whole", 60)
    run = search("run", 30)
    opened = codesign.open_run(run.directory)
    assert len(opened.front())
    assert opened.gains()[0].factor == run.gains()[0].factor
    with pytest.raises(ProxyError, match=r"codesign\.resume\('.*run', proxy=\.\.\.\)"):
        codesign.resume(run.directory, budget=60)
    codesign.resume(run.directory, budget=60, proxy=proxy)
    assert record_of(tmp_path / "run") == record_of(tmp_path / "whole")


def test_a_run_is_read_where_its_proxy_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Front and gains of a run need no more than its record, even where the proxy's module is out of reach."""
    (tmp_path / "elsewhere_only.py").write_text(
        "import numpy as np\nfrom codesign import Quality\n"
        "def judge(shape):\n"
        "    n = len(shape)\n"
        "    return Quality('perplexity', 1e4 / shape.hidden, np.full(n, 0.05), np.zeros(n, dtype=bool))\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    run = codesign.search(
        "tiny", "unit", proxy="elsewhere_only:judge", budget=40, population=20, directory=tmp_path / "run"
    )
    there = run.gains()
    monkeypatch.setattr(sys, "path", sys.path[1:])
    monkeypatch.delitem(sys.modules, "elsewhere_only")
    opened = codesign.open_run(tmp_path / "run")
    assert opened.gains() == there
    with pytest.raises(ProxyError, match="module 'elsewhere_only' cannot be imported"):
        opened.proxy.predict(opened.space.baseline.shape)


def test_a_search_without_a_directory_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are numbered under runs/ of the current directory."""
    monkeypatch.chdir(tmp_path)
    found = [codesign.search("tiny", "unit", budget=5, population=5).directory for _ in range(2)]
    assert found == [Path("runs/tiny-unit-001"), Path("runs/tiny-unit-002")]


def test_paths_of_own_files_are_taken(tmp_path: Path) -> None:
    """Copies of shipped files under paths of the user's own give the same designs."""
    from codesign.shipped import shipped_text

    for name in ("tiny", "unit"):
        (tmp_path / f"my_{name}.toml").write_text(shipped_text(name))
    own = codesign.search(
        str(tmp_path / "my_tiny.toml"),
        str(tmp_path / "my_unit.toml"),
        budget=20,
        population=10,
        directory=tmp_path / "own",
    )
    shipped = codesign.search("tiny", "unit", budget=20, population=10, directory=tmp_path / "shipped")
    np.testing.assert_array_equal(own.evaluations.genomes, shipped.evaluations.genomes)
    assert own.space.name == "my_tiny"

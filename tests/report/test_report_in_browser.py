"""The report in a real browser: it opens offline without a complaint, and what can be clicked works."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codesign.report import write_report
from codesign.run import Run

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install codesign[dev])"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")

PATIENCE_MS = 180_000
"""For a page to open: a loaded machine is no complaint."""

FRONT = "document.getElementById('front').data.find(trace => trace.name === 'Front')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Return a function that opens a file offline; at the end, complaints and requests of all pages are counted."""
    complaints: list[str] = []
    contexts = []

    def opener(path: Path, width: int = 1400) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: complaints.extend(_foreign(request.url, path)))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def report(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one run."""
    return write_report([tiny_run], tmp_path_factory.mktemp("browser") / "report.html")


def test_opens_offline_without_complaints(open_page: Any, report: Path, tiny_run: Run) -> None:
    """All figures are drawn and the larger budget's pick stands beside the baseline; `open_page` counts complaints."""
    page = open_page(report)
    assert page.locator(".plot .main-svg").count() >= 7
    assert page.locator("#metrics tr").count() == 1 + len(tiny_run.evaluations.metrics)  # and the interval
    assert _selected(page) == tiny_run.gains()[-1].id


def test_clicking_a_front_marker_selects_it(open_page: Any, report: Path) -> None:
    """Heading, ring, bars and table row follow the click."""
    page = open_page(report)
    before = _bars(page)
    page.locator("#front").scroll_into_view_if_needed()
    number = _alone(page)
    wanted = page.evaluate(f"{FRONT}.customdata[{number}]")
    point = page.evaluate(_POSITION, number)
    page.mouse.move(*point)
    page.wait_for_selector("#front .hoverlayer .hovertext")
    page.mouse.click(*point)
    page.wait_for_selector(f"tr.selected[data-key='{wanted}']")  # the page's own rules forbid a function from outside
    assert f"0-{_selected(page)}" == wanted
    assert page.locator("#selected-name").inner_text() == f"Design {_selected(page)}"
    assert page.evaluate("document.getElementById('front').data.at(-1).x[0]") == page.evaluate(f"{FRONT}.x[{number}]")
    assert _bars(page) != before


def test_buttons_and_rows_select(open_page: Any, report: Path, tiny_run: Run) -> None:
    """The button of the knee and a row of the table lead to their designs."""
    page = open_page(report)
    page.get_by_role("button", name="Knee").click()
    assert _selected(page) == tiny_run.knee()
    last = page.locator("#front-table tbody:last-child tr").last
    last.locator("button").click()
    assert f"0-{_selected(page)}" == last.get_attribute("data-key")


def test_headings_sort_the_table(open_page: Any, report: Path) -> None:
    """A click sorts ascending by the number, the next one descending; no row is lost and the baseline stays on top."""
    page = open_page(report)
    count = len(_column(page, "Delay"))
    for name in ("Delay", "EDP", "Design"):
        heading = page.locator("#front-table th button", has_text=name).first
        heading.click()
        ascending = _column(page, name)
        assert ascending == sorted(ascending)
        heading.click()
        assert _column(page, name) == ascending[::-1]
        assert len(ascending) == count
    assert page.locator("#front-table tbody").first.locator("tr").get_attribute("data-key") == "0-0"


def test_bars_turn_into_shares(open_page: Any, report: Path) -> None:
    """The button scales both bars to 100 %, and back, also after another design was chosen."""
    page = open_page(report)
    norm = "document.getElementById('energy-by-level').layout.barnorm"
    page.locator("#shares").click()
    assert page.evaluate(norm) == "percent"
    page.get_by_role("button", name="Knee").click()
    assert page.evaluate(norm) == "percent"
    page.locator("#shares").click()
    assert page.evaluate(norm) == ""
    assert "Energy (" in page.locator("#energy-by-level .xtitle").text_content()


@pytest.mark.parametrize("width", [1400, 500])
def test_nothing_is_wider_than_the_window(open_page: Any, report: Path, width: int) -> None:
    """On wide and narrow windows the page never scrolls sideways."""
    page = open_page(report, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_other_kinds_of_pages_open_without_complaints(
    open_page: Any, tiny_run: Run, other_run: Run, error_run: Run, hopeless_run: Run, tmp_path: Path
) -> None:
    """Two runs, a proxy without errors, and a run without feasible designs: no complaint either."""
    for number, runs in enumerate(([tiny_run, other_run], [error_run], [hopeless_run])):
        open_page(write_report(runs, tmp_path / f"{number}.html"))
    page = open_page(tmp_path / "0.html")
    page.locator("button[data-key^='1-']").first.click()
    assert page.locator("#selected-notes").inner_text().startswith("other-run")


# Where the middle of a marker of the front is in the window.
_POSITION = """(number) => {
    const plot = document.getElementById("front");
    const trace = [...plot.querySelectorAll(".scatterlayer .trace")].find(
        (group) => group.__data__[0].trace.name === "Front");
    const box = trace.querySelectorAll("path.point")[number].getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
}"""


def _alone(page: Any) -> int:
    """Number of the front marker, not selected, that is farthest from all others: nothing covers it."""
    names = page.evaluate(f"{FRONT}.customdata")
    points = [page.evaluate(_POSITION, number) for number in range(len(names))]
    others = [number for number, name in enumerate(names) if name != f"0-{_selected(page)}"]
    return max(others, key=lambda own: min(math.dist(points[own], at) for i, at in enumerate(points) if i != own))


def _selected(page: Any) -> int:
    return int(page.locator("#selected-name").get_attribute("data-id"))


def _bars(page: Any) -> list[list[float]]:
    bars: list[list[float]] = page.evaluate("document.getElementById('energy-by-level').data.map((trace) => trace.x)")
    return bars


def _column(page: Any, name: str) -> list[float]:
    """Return the numbers of a column of the front table, top to bottom, without the baseline's."""
    headings = page.locator("#front-table th").all_inner_texts()
    column = next(i for i, heading in enumerate(headings) if heading.startswith(name))
    cells = page.locator(f"#front-table tbody:last-child td:nth-child({column + 1})")
    return [float(value) for value in cells.evaluate_all("(cells) => cells.map((cell) => cell.dataset.value)")]


def _foreign(url: str, path: Path) -> list[str]:
    allowed = url == path.as_uri() or url.startswith(("data:", "blob:"))
    return [] if allowed else [f"request: {url}"]

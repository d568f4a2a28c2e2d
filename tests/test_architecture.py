"""The layout that docs/architecture.md describes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "codesign"

# From the bottom up; a module may import from its own layer and those below. Packages stand for all their modules.
LAYERS = (
    ("errors", "cluster", "design", "files", "lines"),
    ("layer_fields", "checks", "describe", "design_file", "huggingface", "huggingface_configs", "huggingface_kinds"),
    ("operations", "workload", "parameters"),
    ("genes", "space", "space_size", "space_tables", "space_file"),
    ("text", "elastic"),
    ("training", "scoring"),
    ("cost", "accuracy"),
    ("fits", "evaluation", "front", "breakdown", "ties"),
    (
        "journal",
        "remote",
        "manifest",
        "members",
        "occupied",
        "record",
        "record_columns",
        "archive",
        "remeasured",
        "run",
        "run_log",
        "status",
        "comparison",
        "tables",
    ),
    ("optimize",),
    (
        "select",
        "picks",
        "fitting",
        "recosting",
        "estimates",
        "report",
        "export",
        "pretrained",
        "bench",
        "shipped",
        "terminal",
        "interruption",
    ),
    ("cli", "__init__", "__main__"),
)

# Third-party package -> the only places that may import it.
CONFINED = {
    "torch": ("export", "pretrained", "elastic", "training", "scoring"),
    "safetensors": ("export", "pretrained", "elastic", "training"),
    "tokenizers": ("text",),
    "datasets": ("text",),
    "transformers": ("export", "pretrained"),
    "pymoo": ("optimize",),
    "plotly": ("report",),
    "pandas": ("tables", "run", "cost", "bench"),
    "numba": ("cost",),
    "llvmlite": ("cost",),
    "moocore": ("front", "bench"),
    "typer": ("cli",),
    "rich": ("terminal",),
    "scipy": ("accuracy", "bench", "optimize"),
    "ray": ("cluster", "training", "optimize", "bench"),
    "optuna": ("export", "optimize"),
    "fsspec": ("remote",),
}


def modules() -> list[Path]:
    """All modules of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    """The name under which a module stands in LAYERS."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names imported anywhere in a module, except for type checkers only."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    """A module imports from its own layer and those below, never upwards."""
    rank = {name: level for level, names in enumerate(LAYERS) for name in names}
    own = rank[place(path)]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "codesign" or parts[1] == "__version__":
            continue
        assert rank[parts[1]] <= own, f"{path.name} imports {name} from a layer above"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_stay_in_their_place(path: Path) -> None:
    """Each third-party package is imported only where the architecture says."""
    for name in {name.split(".")[0] for name in imports(path)} & set(CONFINED):
        assert place(path) in CONFINED[name], f"{path.name} imports {name}"


def test_every_module_is_in_the_map() -> None:
    """docs/architecture.md names every module or package, and LAYERS ranks it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    ranked = {name for names in LAYERS for name in names}
    for path in modules():
        name = place(path)
        assert name in ranked
        if name not in ("__main__",):
            assert re.search(rf"`{re.escape(name)}[/`*]", text) or name.startswith("huggingface"), name


def test_relative_links_of_the_docs_resolve() -> None:
    """Every relative link in a Markdown file leads to a file."""
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_sources_hold_no_leftovers() -> None:
    """No module carries a note to come back later, and none is called utils."""
    for path in modules():
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text()), path
        assert path.stem not in ("utils", "helpers", "misc")

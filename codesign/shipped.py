"""What comes with the package, by name: `codesign list` and `codesign show`."""

from __future__ import annotations

import tomllib

from codesign import files
from codesign.errors import unknown_name


def shipped_text(name: str) -> str:
    """Return the text of a shipped search space, cost model or recipe."""
    found = {n: path for kind in files.FOLDERS for n, path in files.shipped(kind).items()}
    if name not in found:
        raise unknown_name("shipped file", name, found)
    return files.read_text(found[name])


def catalogue() -> dict[str, dict[str, str]]:
    """Return names and one-line descriptions of everything that can be named on the command line."""
    from codesign.accuracy.proxy import described as proxies
    from codesign.bench import BENCHES
    from codesign.export import known_formats
    from codesign.fits import fitting
    from codesign.optimize.algorithms import ALGORITHMS, DESCRIBED
    from codesign.optimize.screening import SCREENS
    from codesign.space_file import read_space

    described = {
        f"{kind}s": {
            name: tomllib.loads(files.read_text(path))["description"] for name, path in files.shipped(kind).items()
        }
        for kind in files.FOLDERS
    }
    return described | {
        "cost models that fit a search space": {
            name: ", ".join(fitting(read_space(name).content)) for name in files.shipped("search space")
        },
        "proxies": proxies(),
        "screens": SCREENS,
        "algorithms": {name: _first_line(build.__doc__) for name, build in ALGORITHMS.items()} | DESCRIBED,
        "export formats": {name: _first_line(render.__doc__) for name, render in known_formats().items()},
        "benchmarks": {name: _first_line(bench.__doc__) for name, bench in BENCHES.items()},
    }


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]

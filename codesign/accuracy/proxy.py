"""The accuracy side's one protocol: a proxy predicts the quality of shapes, with its error and where it extrapolates.

A proxy is a shipped one by name, the user's own `module:function`, a callable, or any object of the protocol;
`resolve` turns each of them into a proxy whose predictions are checked. What others need to know of proxies is imported
from here: the protocol (`protocol`), the checks (`checked`), and the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from codesign.accuracy.checked import Checked as Checked
from codesign.accuracy.checked import FunctionProxy as FunctionProxy
from codesign.accuracy.checked import validated as validated
from codesign.accuracy.own import adopted, loaded
from codesign.accuracy.protocol import SHAPE_GENES as SHAPE_GENES
from codesign.accuracy.protocol import Errors as Errors
from codesign.accuracy.protocol import Proxy as Proxy
from codesign.accuracy.protocol import Quality as Quality
from codesign.design import ModelShape
from codesign.errors import InputError, unknown_name

# Names of the shipped surrogates and the coefficient files behind them.
SURROGATES = {"surrogate": "gpt2_wt103", "surrogate_txl": "txl_wt103"}

# Names of the shipped trained networks and of their directories in supernets/; a user's own is named by its directory.
SUPERNETS = {"supernet": "sotu_lm", "supernet_sentences": "sotu_sentences"}
SUPERNET_AT = "supernet:"
BUDGET = re.compile(r"@(\d+)$")
"""At the end of a trained network's name: on how many windows of text a search measures, instead of 16."""
FEWEST_WINDOWS = 2
"""One window has no standard error."""

# Training-free scores are named by what follows; `codesign.accuracy.scores` has them.
SCORE_AT = "score:"

# A surrogate fitted to measured sub-networks is named by the file that `codesign fit` wrote.
FITTED_AT = "fitted:"

# Tables of measured shapes: shipped ones by name, a user's own by its file.
TABLES = {"measured": "sotu_grid"}
MEASURED_AT = "measured:"

# Stand-alone trainings are named by their recipe.
TRAINED_AT = "trained:"

# Laws fitted to published figures: name -> task, pruning method, number format.
_FORMATS: dict[str, Literal["integer", "float"]] = {"": "integer", "_float": "float"}
PUBLISHED = {
    f"published_{task}{method}{suffix}": (task, method.removeprefix("_") or "soft_movement_distil", numbers)
    for task in ("mnli", "squad1", "qqp")
    for method in ("", "_movement", "_magnitude")
    for suffix, numbers in _FORMATS.items()
}

PATTERNS = {
    f"{SUPERNET_AT}DIRECTORY": "what `codesign train` wrote: measured with that network",
    "supernet...@WINDOWS": "the same on so many windows of text instead of 16, such as supernet@64",
    f"{SCORE_AT}NAME": "training-free, such as score:snip; an unknown NAME lists them",
    f"{FITTED_AT}FILE": "what `codesign fit` wrote: fitted to what runs have measured",
    f"{MEASURED_AT}FILE": "looked up in a table of measured shapes (`codesign bench search --measure-to FILE`)",
    f"{TRAINED_AT}RECIPE": "each shape trained from scratch by a recipe",
    "module:function": "your own, see docs/accuracy.md",
}
"""Names that are completed by the user, and what they are."""


INSTEAD = "change the search space, or use a proxy that measures (a supernet, or --proxy module:function)"
"""What messages of proxies that are fitted end with."""


def described() -> dict[str, str]:
    """Return the names of all proxies, and what they are."""
    return {
        **{name: f"measured on text with the network shipped for {space}" for name, space in SUPERNETS.items()},
        **{name: f"looked up: every shape of {space}, as supernet measures it" for name, space in TABLES.items()},
        **{name: f"size surrogate fitted on {nets}" for name, nets in SURROGATES.items()},
        **{name: f"laws of published figures: BERT-base on {task}, {method}, {numbers}"
           for name, (task, method, numbers) in PUBLISHED.items()},
        **PATTERNS,
    }  # fmt: skip


def is_supernet(proxy: str) -> bool:
    """Whether a name is that of a trained network."""
    return BUDGET.sub("", proxy) in SUPERNETS or proxy.startswith(SUPERNET_AT)


def is_law(proxy: str) -> bool:
    """Whether a name is that of an equation with coefficients, whose answers take microseconds."""
    return proxy in SURROGATES or proxy in PUBLISHED or proxy.startswith(FITTED_AT)


def resolve(proxy: str | Callable[[ModelShape], Any] | Proxy) -> Proxy:
    """Return the proxy of a shipped name, a `module:function`, a callable, or a proxy; its predictions are checked.

    Raises:
        InputError: an unknown name; the message lists the known ones.
        ProxyError: a module or function that cannot be imported, or something that is no proxy.
    """
    if not isinstance(proxy, str):
        return adopted(proxy)
    if is_supernet(proxy):
        return Checked(_supernet(proxy))
    if proxy.startswith(SCORE_AT):
        from codesign.accuracy.scores import ScoreProxy

        return Checked(ScoreProxy(proxy.removeprefix(SCORE_AT)))
    if proxy in TABLES or proxy.startswith(MEASURED_AT):
        from codesign.accuracy.table import Table

        return Checked(Table(proxy, table_path(proxy)))
    if proxy.startswith(TRAINED_AT):
        from codesign.accuracy.trained import Trained

        return Checked(Trained(proxy.removeprefix(TRAINED_AT)))
    if proxy.startswith(FITTED_AT):
        from codesign.accuracy.fitted_proxy import FittedProxy

        return Checked(FittedProxy(Path(proxy.removeprefix(FITTED_AT))))
    if ":" in proxy:
        return adopted(loaded(proxy), proxy)
    if proxy in PUBLISHED:
        from codesign.accuracy.published import published

        return Checked(published(proxy))
    if proxy not in SURROGATES:
        patterns = [f"{name} ({what})" for name, what in PATTERNS.items()]
        raise unknown_name("proxy", proxy, [*SURROGATES, *SUPERNETS, *TABLES, *PUBLISHED, *patterns])
    # Here and not above: surrogates and trained networks are built on this module.
    from codesign.accuracy.surrogate import Surrogate, read_fit

    return Checked(Surrogate(proxy, read_fit(SURROGATES[proxy])))


def network_directory(name: str) -> Path:
    """Return where a trained network is: that of a shipped proxy's name, else the directory of that name.

    Raises:
        InputError: there is none.
    """
    from codesign.elastic.saved import CARD

    directory = shipped_network(name) if name in SUPERNETS else Path(name)
    if not (directory / CARD).exists():
        raise InputError(
            f"{name}: expected the directory of a trained network (which has {CARD}, once `codesign train` is "
            f"finished), or a shipped one: {', '.join(SUPERNETS)}"
        )
    return directory


def table_path(proxy: str) -> Path:
    """Return the file behind the name of a table of measured shapes."""
    if proxy in TABLES:
        return Path(str(files("codesign.accuracy"))) / "tables" / f"{TABLES[proxy]}.npz"
    return Path(proxy.removeprefix(MEASURED_AT))


def shipped_network(proxy: str) -> Path:
    """Return the directory of the trained network behind a name of SUPERNETS."""
    return Path(str(files("codesign.accuracy"))) / "supernets" / SUPERNETS[proxy]


def _supernet(proxy: str) -> Proxy:
    from codesign.accuracy.supernet_tasks import supernet_at

    name, budget = BUDGET.sub("", proxy), BUDGET.search(proxy)
    if budget and int(budget[1]) < FEWEST_WINDOWS:
        raise InputError(f"proxy {proxy!r}: expected at least {FEWEST_WINDOWS} windows after @, got {budget[1]}")
    found = supernet_at(proxy, shipped_network(name) if name in SUPERNETS else Path(name.removeprefix(SUPERNET_AT)))
    return replace(found, window_count=int(budget[1]), losses={}) if budget else found

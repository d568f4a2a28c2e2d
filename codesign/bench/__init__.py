"""Repeatable measurements behind `codesign bench`: each returns flat named figures with their conditions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from codesign.bench.options import BenchOptions as BenchOptions
from codesign.bench.options import check_options
from codesign.errors import InputError, unknown_name

Figures = list[dict[str, Any]]


def surrogate_errors(data: Path, options: BenchOptions) -> Figures:
    """Cross-validated error and rank correlation of the perplexity surrogates; --write refits them."""
    from codesign.bench.surrogate import run

    return run(options.table or data, options.write, options.train_size)


def cost(data: Path, options: BenchOptions) -> Figures:
    """Errors and speed of the cost model: cost_validation, then cost_speed; takes some minutes.

    The errors are told also where the definition of the speed comparison is not there.
    """
    from codesign.bench.peer_data import read_peers

    errors = validation_figures(data, options)
    try:
        read_peers(data)
    except InputError as error:
        return [*errors, {"comparison": "speed", "not_measured": str(error)}]
    return errors + speed_figures(data, options)


def validation_figures(data: Path, _options: BenchOptions) -> Figures:
    """Error of the cost model against Timeloop rows, Accelergy areas and the survey's baseline."""
    from codesign.bench import cost_validation

    return cost_validation.run(data)


def rtl_errors(data: Path, _options: BenchOptions) -> Figures:
    """Calibrated cycles beside RTL, each layer left out of the fit; and the coefficients of the fit."""
    from codesign.bench.rtl import run

    return run(data)


def published_figures(data: Path, _options: BenchOptions) -> Figures:
    """Laws of published pruning, refitted: coefficients, errors with a run left out, and the acceptance figures."""
    from codesign.bench.published import run

    return run(data)


def network_figures(_data: Path, options: BenchOptions) -> Figures:
    """The shipped elastic network beside n-grams, its screening budget, single heads; layers that shapes share."""
    from codesign.bench.supernet import run

    return run(options.table, options.networks)


def record_figures(_data: Path, options: BenchOptions) -> Figures:
    """A large record (--rows): seconds and memory to write it, open it and find its front, beside plain decoding."""
    from codesign.bench.record import run

    return run(options.rows)


def search_figures(_data: Path, options: BenchOptions) -> Figures:
    """Ways to search a space whose exact front is known, at equal numbers of measured shapes; some ten minutes."""
    from codesign.bench import search

    space = options.space or search.SPACE
    if options.measure_to is not None:
        return search.measure(space, options.measure_to)
    return search.run(space, options.seeds or search.SEEDS, options.ways or search.WAYS, options.figures_to)


def answer_lines(_data: Path, options: BenchOptions) -> Figures:
    """Error of lines without a network on questions made of the shipped text, and of trained ones (--network)."""
    from codesign.bench.answers import run

    return run(options.networks)


def pretrained_figures(data: Path, _options: BenchOptions) -> Figures:
    """MiniLM cut in many ways, measured on VADER's sentences with and without recovery; --data: their directory."""
    from codesign.bench.pretrained import run

    return run(data)


def score_ranks(data: Path, options: BenchOptions) -> Figures:
    """How training-free scores rank trained networks of published tables, and seconds of each of ours."""
    from codesign.bench.scores import run

    return run(data, options.large)


def proxy_ranks(_data: Path, options: BenchOptions) -> Figures:
    """The study: networks trained on their own (--train-to), and how every proxy ranks them."""
    if options.trainings is not None:
        from codesign.bench.study_train import train_study

        return train_study(options.trainings)
    if options.table is None:
        raise InputError("bench proxies: expected the networks of the study (a directory or .csv), or --train-to DIR")
    from codesign.training.process import one_thread_an_operation

    one_thread_an_operation()  # networks are shared out among the cores, one a core
    from codesign.bench.proxies import run

    return run(options.table, options.space or "sotu_lm", options.figures_to, options.networks)


def peer_ratios(data: Path, _options: BenchOptions) -> Figures:
    """Our optimal mappings beside those of AccelForge, ZigZag and Timeloop, each counted its way."""
    from codesign.bench.peers import run

    return run(data)


def speed_figures(data: Path, options: BenchOptions) -> Figures:
    """Pairs and designs a second, cold and warm, beside ZigZag, SCALE-Sim and plain enumeration; memory."""
    from codesign.bench.cost_speed import run

    return run(data, large=options.large, scalesim_python=options.scalesim_python)


PLAIN = {
    "sensitivity": "What buffering, fusion, the whole-model choice, parts and the dataflow change; needs no data.",
    "survey": "The survey's analytical model beside its Tab. 3, 5, 10, 11 and Fig. 32; needs no reference data.",
    "text": "Sizes of the shipped text and its n-gram perplexities: the line beside every language model figure.",
    "training": "Tokens/s of the sandwich against those of a plain model of the average size, in the same run.",
    "exits": "Error of the shipped classifier at every exit, of lines without a network, and what leaving early costs.",
    "t5": "The FFNs of T5-Mini: their share, and small T5s trained without them or with merged ones; 6 minutes.",
    "ladder": "Searches of sotu_lm with and without screening, at equal numbers of measured designs; some minutes.",
    "scaling": "Efficiency of 1 and 2 workers on evaluations that sleep; simulated clusters of up to 10,000.",
}
"""Benchmarks that take neither data nor options, and what they tell; each is the function `run` of its module."""


def _plain(name: str) -> Callable[[Path, BenchOptions], Figures]:
    def bench(_data: Path, _options: BenchOptions) -> Figures:
        figures: Figures = import_module(f"codesign.bench.{name}").run()
        return figures

    bench.__doc__ = PLAIN[name]
    return bench


BENCHES: dict[str, Callable[[Path, BenchOptions], Figures]] = {
    "surrogate": surrogate_errors,
    "cost": cost,
    "cost_validation": validation_figures,
    "cost_speed": speed_figures,
    "peers": peer_ratios,
    "sensitivity": _plain("sensitivity"),
    "survey": _plain("survey"),
    "rtl": rtl_errors,
    "text": _plain("text"),
    "supernet": network_figures,
    "training": _plain("training"),
    "published": published_figures,
    "scores": score_ranks,
    "proxies": proxy_ranks,
    "exits": _plain("exits"),
    "answers": answer_lines,
    "pretrained": pretrained_figures,
    "t5": _plain("t5"),
    "ladder": _plain("ladder"),
    "scaling": _plain("scaling"),
    "record": record_figures,
    "search": search_figures,
}


def run_bench(name: str, data: Path | None, options: BenchOptions | None = None) -> Figures:
    """Run a benchmark by name on the reference data in a directory.

    Raises:
        InputError: an unknown name, no data where it is needed, or options that this benchmark has no use for.
    """
    options = options or BenchOptions()
    if name not in BENCHES:
        raise unknown_name("benchmark", name, BENCHES)
    check_options(name, data, options)
    return BENCHES[name](data or Path(), options)

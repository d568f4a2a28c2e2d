"""The trained networks of the study as rows: JSON lines while they are trained, a CSV table to keep.

A table has all columns of a line but the losses of single windows; instead of these it has their paired error.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codesign.accuracy.paired import error_of_mean
from codesign.design import FloatArray, IntArray
from codesign.elastic.setting import LayerSetting, Setting, settings
from codesign.errors import InputError
from codesign.genes import Gene
from codesign.lines import whole_lines
from codesign.space import SearchSpace

LINES = "nets-{}.jsonl"
PER_LAYER = tuple(LayerSetting.__dataclass_fields__)


class Net(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One network, trained from scratch and measured on the validation text."""

    index: int
    """Place in the plan of the study; trainings of one shape have the same."""
    group: str
    """How it was drawn: see `study_plan`."""
    space: str
    recipe: str
    recipe_sha256: str
    """Of all the recipe's values."""
    seed: int
    """Of the training."""
    hidden: int
    heads: tuple[int, ...]  # one a layer, like all others up to activation_bits; see `LayerSetting`
    ffn: tuple[int, ...]
    span: tuple[int, ...]
    attention_density: tuple[float, ...]
    ffn_density: tuple[float, ...]
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    layers: int
    parameters: int
    """All of them, those that a density removes included."""
    non_embedding: int
    """The same without tables of tokens and positions."""
    flops: float
    """Of one window, removed weights and keys beyond spans left out."""
    loss: float
    """Nats a token on the validation windows."""
    standard_error: float
    """Of the loss, over windows."""
    word_perplexity: float
    tokens: int
    """Trained on."""
    seconds: float
    """Of one core, for the training."""
    paired_error: float | None = None
    """Standard error of the loss less the mean loss of all networks of the recipe, over windows; a line has none."""
    window_losses: tuple[float, ...] = ()
    """Of the validation windows, in their order, rounded to 1e-4; a table leaves them out."""

    @property
    def setting(self) -> Setting:
        """The sub-network."""
        columns = zip(*(getattr(self, name) for name in PER_LAYER), strict=True)
        return Setting(self.hidden, tuple(LayerSetting(*layer) for layer in columns))


COLUMNS = tuple(name for name in Net.__struct_fields__ if name != "window_losses")


def of_setting(setting: Setting) -> dict[str, Any]:
    """Return the genes of a row."""
    columns = {name: tuple(getattr(layer, name) for layer in setting.layers) for name in PER_LAYER}
    return {"layers": len(setting.layers), "hidden": setting.hidden, **columns}


def read_nets(path: Path) -> list[Net]:
    """Read a table, or all lines below a directory, in the order of the plan.

    Raises:
        InputError: nothing there, a damaged row, or a network that is there twice.
    """
    if path.is_dir():
        nets = with_paired_errors(read_lines(path))
    elif path.suffix == ".csv":
        nets = _read_table(path)
    else:
        raise InputError(f"{path}: expected a directory that `bench proxies --train-to` filled, or a .csv of its nets")
    if not nets:
        raise InputError(f"{path}: expected trained networks (lines of {LINES.format('*')}), got none")
    keys = [(net.recipe_sha256, net.index, net.seed) for net in nets]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise InputError(f"{path}: network {twice[1]} of recipe {twice[0][:8]}, seed {twice[2]}, is there twice; "
                         "remove one of its rows")  # fmt: skip
    return sorted(nets, key=lambda net: (net.recipe, net.seed, net.index))


def read_lines(directory: Path) -> list[Net]:
    """Return all networks of the line files below a directory; a torn last line is left out.

    Raises:
        InputError: a damaged line.
    """
    nets = []
    for path in sorted(directory.rglob(LINES.format("*"))):
        data = path.read_bytes()
        for number, line in enumerate(whole_lines(data), 1):
            try:
                nets.append(msgspec.json.decode(line, type=Net))
            except msgspec.MsgspecError as error:
                raise InputError(f"{path}: line {number}: expected a trained network: {error}") from None
    return nets


def with_paired_errors(nets: Sequence[Net]) -> list[Net]:
    """Fill in `paired_error`, among the networks of each recipe.

    Raises:
        InputError: networks of one recipe were measured on different windows.
    """
    found = []
    for recipe in dict.fromkeys(net.recipe_sha256 for net in nets):
        own = [net for net in nets if net.recipe_sha256 == recipe]
        counts = {len(net.window_losses) for net in own}
        if len(counts) > 1 or counts == {0}:
            raise InputError(
                f"recipe {own[0].recipe}: expected losses of the same windows, got {sorted(counts)} windows"
            )
        losses = np.array([net.window_losses for net in own])  # (n, w)
        apart = losses - losses.mean(axis=0)
        errors = error_of_mean(apart)
        found += [msgspec.structs.replace(net, paired_error=float(e)) for net, e in zip(own, errors, strict=True)]
    return found


def write_table(path: Path, nets: Iterable[Net]) -> None:
    """Write networks as a table; a list is its numbers with spaces between.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([_cell(getattr(net, name)) for name in COLUMNS] for net in nets)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def genomes_of(space: SearchSpace, nets: Sequence[Net]) -> IntArray:
    """Return the (n, genes) canonical genomes of networks; the accelerator has its first choices.

    Raises:
        InputError: a network that is no shape of the space.
    """
    genomes = np.zeros((len(nets), len(space.genes)), dtype=np.int64)
    for row, net in enumerate(nets):
        for column, gene in enumerate(space.genes):
            genomes[row, column] = 0 if gene.on_accelerator else _position(gene, net)
    canonical = space.canonical(genomes)
    for net, found in zip(nets, settings(space.decode(canonical).shape, space.family.stacks[0]), strict=True):
        if found != net.setting:
            raise InputError(f"network {net.index} of recipe {net.recipe}: expected a shape of the search space "
                             f"{space.name}, got {net.setting}")  # fmt: skip
    return canonical


def _position(gene: Gene, net: Net) -> int:
    """Position of the network's value among the choices; 0 where it has none, which `genomes_of` checks."""
    value: Any = getattr(net, gene.field)
    layers = [value] if gene.field in ("layers", "hidden") else list(value)
    if not gene.shared and gene.field not in ("layers", "hidden"):
        layers = layers[gene.layer : gene.layer + 1]
    return next((gene.values.index(one) for one in layers if one in gene.values), 0)


def _read_table(path: Path) -> list[Net]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, header = list(reader), tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if missing := [name for name in COLUMNS if name not in header]:
        raise InputError(f"{path}: missing columns {', '.join(missing)}; it has: {', '.join(header) or 'none'}")
    return [_net(row, path, number) for number, row in enumerate(rows, 2)]


def _net(row: dict[str, Any], path: Path, number: int) -> Net:
    raw = {name: (row[name] or "").split() if name in PER_LAYER else row[name] for name in COLUMNS}
    try:
        return msgspec.convert(raw, Net, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: line {number}: {error}") from None


def _cell(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def losses(nets: Sequence[Net]) -> FloatArray:
    """(n,) nats a token."""
    return np.array([net.loss for net in nets])

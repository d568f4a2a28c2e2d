"""Proxies judged by trained networks: on made-up losses, where the right answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign.accuracy.proxy import shipped_network
from codesign.bench import proxies, study_guesses
from codesign.bench.proxies import run, split, truth_of
from codesign.bench.study_guesses import Guess, asked_of, law_guesses, score_guesses, supernet_guesses, training_guesses
from codesign.bench.study_nets import Net, of_setting, read_nets, with_paired_errors, write_table
from codesign.bench.study_plan import plan, sizes
from codesign.elastic.architecture import architecture_of
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError, ProxyError
from codesign.space import SearchSpace
from codesign.space_file import parse_space, read_space
from codesign.training.loop import train
from codesign.training.recipe import read_recipe
from codesign.training.sampling import largest_shape
from tests.training.conftest import SPACE, write_recipe

SMALL = SPACE.replace("scratchpad_kib = 4", "scratchpad_kib = 64").replace(
    "accumulator_kib = 4", "accumulator_kib = 16"
)
COUNT = 16


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """Return a tiny space."""
    return parse_space(SMALL, "small", "small.toml").content


def made_up(space: SearchSpace, count: int, repeats: int = 1) -> list[Net]:
    """Networks whose loss falls with width and depth, each with errors of its own over four windows."""
    architecture = architecture_of(largest_shape(space))
    rng = np.random.default_rng(0)
    nets = []
    for job in plan(space, count, repeats, 0, 0):
        setting = job.setting
        loss = 6 - setting.hidden / 160 - len(setting.layers) / 10 - sum(one.heads for one in setting.layers) / 50
        windows = loss + job.seed / 100 + np.array([0.5, -0.5, 0.2, -0.2]) + rng.normal(0, 1e-3, 4)
        nets.append(
            Net(index=job.index, group=job.group, space=space.name, recipe="made_up", recipe_sha256="00",
                seed=job.seed, **of_setting(setting), parameters=1, flops=1.0, standard_error=0.2,
                non_embedding=int(sizes(shape_of(architecture, setting))[0]), loss=float(windows.mean()),
                word_perplexity=9.0, tokens=100, seconds=2.0, window_losses=tuple(windows))
        )  # fmt: skip
    return with_paired_errors(nets)


@pytest.fixture(scope="module")
def nets(space: SearchSpace) -> list[Net]:
    """Return sixteen networks and one with a second seed."""
    return made_up(space, COUNT)


def test_paired_errors_leave_out_what_all_find_hard(nets: list[Net]) -> None:
    """Windows differ by half a nat, networks inside them by a thousandth: the paired error is as small."""
    assert all(net.paired_error is not None and net.paired_error < 2e-3 for net in nets)


def test_the_longest_recipe_is_the_truth(nets: list[Net]) -> None:
    """Other recipes are proxies; a second seed is a repeat."""
    short = [msgspec.structs.replace(net, recipe="short", recipe_sha256="11", tokens=10) for net in nets[:3]]
    true, repeats, others = split([*short, *nets])
    assert [net.index for net in true] == list(range(COUNT))
    assert [(one.index, one.seed, two.seed) for one, two in repeats] == [(1, 0, 1)]
    assert others == short


def test_short_trainings_are_proxies(space: SearchSpace, nets: list[Net]) -> None:
    """They are matched by shape, whatever their place in their plan; a missing one has no opinion."""
    short = [
        msgspec.structs.replace(net, index=9 - net.index, recipe="short", loss=net.loss + 1, seconds=0.5)
        for net in nets[:10]
    ]
    (guess,) = training_guesses(asked_of(space, nets[:COUNT], short))
    assert (guess.name, guess.seconds) == ("trained:short", 0.5)
    np.testing.assert_array_equal(guess.values[:10], [net.loss + 1 for net in nets[:10]])
    assert np.isnan(guess.values[10:]).all()


def test_the_supernet_of_another_space_has_no_opinion(space: SearchSpace, nets: list[Net]) -> None:
    """It cannot measure networks that it does not hold."""
    assert supernet_guesses(asked_of(space, nets[:COUNT])) == []


def test_a_network_of_ones_own_is_judged(tmp_path: Path, space: SearchSpace, nets: list[Net]) -> None:
    """By the name of its directory, at both budgets and smoothed; one that cannot measure the shapes is refused."""
    recipe = read_recipe(str(write_recipe(tmp_path / "tiny.toml", {})), None, None)
    train(parse_space(SMALL, "small", "small.toml"), recipe, tmp_path / "mine")
    guesses = supernet_guesses(asked_of(space, nets[:COUNT], networks=(tmp_path / "mine",)))
    assert [guess.name for guess in guesses[:2]] == ["supernet:mine, 16 windows", "supernet:mine, 256 windows"]
    assert len(guesses) == 6
    assert all(np.isfinite(guess.values).all() for guess in guesses)
    with pytest.raises(ProxyError, match=r"cannot measure family\."):
        supernet_guesses(asked_of(space, nets[:COUNT], networks=(shipped_network("supernet"),)))


def test_counts_are_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that the space is refused for are said to be; more parameters are a lower guess; laws need an FFN."""
    monkeypatch.setattr(study_guesses, "SCORES", {name: study_guesses.SCORES[name] for name in ("parameters", "snip")})
    space = read_space("sotu_lm").content
    bare = Setting(64, (LayerSetting(1, 0, 16, 0.5, weight_bits=4, activation_bits=8),) * 2)
    nets = made_up(space, 2, 0)
    nets.append(msgspec.structs.replace(nets[0], **of_setting(bare)))
    asked = asked_of(space, nets)
    parameters, snip = score_guesses(asked)
    np.testing.assert_array_equal(parameters.values[:2], [-net.non_embedding for net in nets[:2]])
    assert (parameters.refused, snip.refused) == (True, False)
    for guess in law_guesses(asked):
        assert np.isfinite(guess.values[:2]).all()
        assert np.isnan(guess.values[2])
        assert guess.refused


@pytest.fixture
def judge(space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that judges two made-up proxies by networks; `space.toml` is their space."""
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")

    def guesses(asked: study_guesses.Asked) -> list[Guess]:
        loss = np.array([net.loss for net in asked.nets])
        size = np.array([float(net.non_embedding) for net in asked.nets])
        return [Guess("perfect", loss, 1.0), Guess("score:parameters", -size, 0.0)]

    monkeypatch.setattr(proxies, "GUESSES", (guesses,))

    def call(nets: list[Net], write_to: Path | None = None) -> list[dict[str, Any]]:
        write_table(tmp_path / "nets.csv", nets)
        return run(tmp_path / "nets.csv", str(tmp_path / "small.toml"), write_to)

    return call


def test_a_table_becomes_figures(judge: Callable[..., Any], nets: list[Net], tmp_path: Path) -> None:
    """What was trained comes first, then the proxies; tables and a figure are written, the former readable again."""
    pytest.importorskip("matplotlib", reason="the figure needs matplotlib")
    about, perfect, _ = judge(nets, tmp_path / "figures")
    assert (about["nets"], about["repeats"], about["recipe"]) == (COUNT, 1, "made_up")
    assert about["seed_deviation"] == pytest.approx(0.01 / np.sqrt(2), rel=0.2)
    assert 0.5 < about["ceiling_tau_in_strata"] <= about["ceiling_tau"] + 0.1 <= 1.1
    assert (perfect["proxy"], perfect["kendall_tau"]) == ("perfect", 1.0)
    assert len(read_nets(tmp_path / "figures" / "nets.csv")) == COUNT + 1
    assert "perfect" in (tmp_path / "figures" / "guesses.csv").read_text().splitlines()[0]
    assert (tmp_path / "figures" / "proxies.png").read_bytes().startswith(b"\x89PNG")


def test_other_networks_are_refused(judge: Callable[..., Any], nets: list[Net]) -> None:
    """Too few, of another space, of no shape of this one, or twice: each is told."""
    with pytest.raises(InputError, match="expected at least 4 networks of one recipe, got 3"):
        judge(nets[:3])
    with pytest.raises(InputError, match=r"expected networks of the search space small, got large; give their --space"):
        judge([*nets[1:], msgspec.structs.replace(nets[0], space="large")])
    with pytest.raises(InputError, match="network 0 of recipe made_up: expected a shape of the search space small"):
        judge([*nets[1:], msgspec.structs.replace(nets[0], hidden=12)])
    with pytest.raises(InputError, match="network 3 of recipe 00, seed 0, is there twice"):
        judge([*nets, nets[3]])


def test_windows_of_one_recipe_are_the_same(nets: list[Net]) -> None:
    """Losses of other windows cannot be paired."""
    with pytest.raises(InputError, match="expected losses of the same windows"):
        with_paired_errors([nets[0], msgspec.structs.replace(nets[1], window_losses=(1.0,))])


def test_seeds_are_averaged(space: SearchSpace, nets: list[Net]) -> None:
    """A network trained twice counts with its mean loss, which is more certain than that of one training."""
    true, repeats, _ = split(nets)
    known = truth_of(asked_of(space, true), repeats)
    ((first, second),) = repeats
    assert known.loss[first.index] == pytest.approx((first.loss + second.loss) / 2)
    others = [net.index for net in true if net.index != first.index]
    np.testing.assert_array_equal(known.loss[others], [true[i].loss for i in others])
    assert known.error[first.index] < known.error[others].min()

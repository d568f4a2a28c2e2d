"""Measuring on a real cluster of two nodes, both on this machine: the same answers, whatever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve
from codesign.cluster import connected
from codesign.errors import InputError, ProxyError
from codesign.evaluation import Evaluations, joined
from codesign.optimize.pool import ATTEMPTS, InProcess
from codesign.optimize.pools import Where

from .pools import BAD, Noted, all_answers, deadly, designs, measuring, named, plain, shapes, truth
from .searches import record_of, small_search
from .spaces import tiny
from .test_measuring import assert_same


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a second node with one core each, and this process connected to them."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = found.add_node(num_cpus=1)
    try:
        with connected(found.address):
            yield found, second
    finally:
        found.shutdown()


def pool_of(proxy: Any, **settings: Any) -> Any:
    """A pool with two workers."""
    from codesign.optimize.ray_pool import RayPool, RaySettings

    return RayPool(proxy, RaySettings(**({"workers": 2} | settings)))


def test_the_cluster_gives_what_this_process_gives(cluster: Any) -> None:
    """The same evaluations in ask order, failures and their tracebacks too; only who kills a worker has another."""
    pool, genomes = pool_of(named("deadly")), designs(150)
    measure = measuring(named("deadly"), pool)
    measure.evaluator.proxy.answers.clear()  # the baseline was measured when the space was read
    genomes = np.concatenate([genomes, tiny().encode(tiny().baseline)])
    ours = joined(list(measure.in_order(genomes)))
    pool.close()
    theirs = joined(list(measuring(named("deadly"), InProcess(resolve(deadly))).in_order(genomes)))
    shape = tiny().decode(genomes).shape
    killed = truth(shape) == truth(tiny().baseline.shape)
    assert killed.any()
    assert (ours.failure[shape.hidden == BAD] != "").all()
    assert_same(ours.take(np.flatnonzero(~killed)), theirs.take(np.flatnonzero(~killed)))
    assert all(f"died {ATTEMPTS} times" in text for text in ours.failure[killed])


def test_killed_workers_lose_and_double_nothing(cluster: Any, tmp_path: Path) -> None:
    """Workers are killed while they measure: each ticket is answered once, with its value."""
    pool, shape = pool_of(resolve(Noted(tmp_path))), shapes(200)
    pool.submit(shape)
    found = dict(pool.answers())
    for _ in range(2):
        for note in list(tmp_path.iterdir()):
            os.kill(int(note.name), signal.SIGKILL)
            note.unlink()
        while not any(tmp_path.iterdir()):
            found |= dict(pool.answers(block=False))
            time.sleep(0.01)
    found |= all_answers(pool, len(shape) - len(found))
    pool.close()
    assert sorted(found) == list(range(len(shape)))
    np.testing.assert_array_equal([found[ticket].value for ticket in sorted(found)], truth(shape))


def test_a_lost_node_fails_no_shape(cluster: Any, tmp_path: Path) -> None:
    """A machine goes and another comes: what was measured there is measured again, and no shape is blamed."""
    nodes, second = cluster
    pool, shape = pool_of(resolve(Noted(tmp_path, seconds=0.2))), shapes(60)
    pool.submit(shape)
    found = dict(pool.answers())
    while len(list(tmp_path.iterdir())) < 2:
        found |= dict(pool.answers(block=False))
        time.sleep(0.01)
    nodes.remove_node(second, allow_graceful=False)
    nodes.add_node(num_cpus=1)
    found |= all_answers(pool, len(shape) - len(found))
    pool.close()
    np.testing.assert_array_equal([found[ticket].value for ticket in range(len(shape))], truth(shape))


def test_a_search_is_the_same_with_any_number_of_workers(cluster: Any, tmp_path: Path) -> None:
    """In this process, with one worker or with two: the same bytes."""
    options = {"proxy": named("plain"), "budget": 60, "cost_model": "gemmini_40nm"}
    small_search(tmp_path / "here", **options)
    for workers in (1, 2):
        where = Where(cluster[0].address, workers)
        small_search(tmp_path / str(workers), where=where, **options)
        assert record_of(tmp_path / str(workers)) == record_of(tmp_path / "here")


@pytest.mark.long
def test_a_pool_survives_chaos(cluster: Any, tmp_path: Path) -> None:
    """Workers and nodes are killed at random, round after round: each round's evaluations are the undisturbed."""
    nodes, rng, genomes = cluster[0], np.random.default_rng(0), designs(1500)
    pool = pool_of(resolve(Noted(tmp_path, seconds=0.1)))
    undisturbed = joined(list(measuring(named("plain"), InProcess(resolve(plain))).in_order(genomes)))
    kills, deaths, ended = list[str](), Counter[str](), threading.Event()

    def kill_workers() -> None:
        while not ended.wait(rng.exponential(1.0)):
            for note in list(tmp_path.iterdir())[:1]:
                measured = note.read_text()
                note.unlink()
                if deaths[measured] + 1 < ATTEMPTS:  # a shape that dies more often has failed, as it should
                    deaths[measured] += 1
                    with suppress(ProcessLookupError):
                        os.kill(int(note.name), signal.SIGKILL)
                        kills.append("worker")

    thread, spare = threading.Thread(target=kill_workers), None
    thread.start()
    try:
        while kills.count("worker") < 10 or kills.count("node") < 2:
            measure, parts = measuring(named("plain"), pool), list[Evaluations]()
            for start in range(0, len(genomes), 100):
                for number, part in enumerate(measure.in_order(genomes[start : start + 100])):
                    parts.append(part)
                    if number == 3 and spare is None:
                        spare = nodes.add_node(num_cpus=1)
                    elif number == 3 and start % 300 == 0:
                        nodes.remove_node(spare, allow_graceful=False)
                        kills.append("node")
                        spare = None
            assert_same(joined(parts), undisturbed)
    finally:
        ended.set()
        thread.join()
        pool.close()


def test_no_worker_is_waited_for_and_then_given_up(cluster: Any) -> None:
    """A cluster without what a worker needs is said to be one, with what it has."""
    from codesign.optimize.ray_pool import RayPool, RaySettings

    notices: list[str] = []
    pool = RayPool(named("plain"), RaySettings(1, gpus=0.5, patience=1.0), notices.append)
    pool.submit(shapes(5))
    with pytest.raises(InputError, match=r"no worker for 1 s; the cluster has \d+ CPU and 0 GPU.*0\.5 GPU"):
        pool.answers()
    pool.close()
    assert ["no worker is there" in notice for notice in notices] == [True]


def test_a_proxy_that_a_worker_cannot_find_is_told(cluster: Any) -> None:
    """The reason is the worker's own."""
    pool = pool_of("no_such_module:proxy", workers=1)
    pool.submit(shapes(5))
    with pytest.raises(ProxyError, match=r"(?s)a worker cannot find the proxy.*'no_such_module' cannot be imported"):
        pool.answers()
    pool.close()


def test_a_proxy_that_cannot_be_sent_is_refused(cluster: Any) -> None:
    """An object with a lock stays here, and the message says what to do."""
    proxy = Noted(Path())
    object.__setattr__(proxy, "lock", threading.Lock())
    with pytest.raises(
        ProxyError,
        match=r"sent to other processes \(TypeError: cannot pickle '_thread.lock' object\); name it as module:function",
    ):
        pool_of(resolve(proxy))

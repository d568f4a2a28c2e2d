"""What of examples a network misses: mean, error and paired comparison, where examples may be missed in part."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.accuracy.proxy import shipped_network
from codesign.accuracy.supernet_answers import AnswerSupernet
from codesign.accuracy.supernet_tasks import PROXIES
from codesign.elastic.architecture import Task
from codesign.space_file import read_space


def test_every_task_has_a_proxy() -> None:
    """Whatever can be trained can be measured in a search."""
    assert set(PROXIES) == set(Task.__args__)  # type: ignore[attr-defined]


def test_parts_of_examples_by_hand() -> None:
    """Half right answers vary less than right and wrong ones of the same mean; nothing missed counts as half of one."""
    proxy = AnswerSupernet("own", shipped_network("supernet_sentences"))
    space = read_space("sotu_sentences").content
    drawn = space.canonical(space.sample(np.random.default_rng(0), 3))
    shape = space.decode(drawn).shape
    rows = np.array([[0.5, 0.5, 0.5, 1.0], [1.0, 0.5, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    proxy.losses.update(zip(proxy._settings(shape), rows, strict=True))
    quality = proxy.predict(shape)
    assert quality.metric == "answer_error"
    np.testing.assert_allclose(quality.value, [0.625, 0.625, 0.125])
    errors = [rows[0].std() / 2 / 0.625, rows[1].std() / 2 / 0.625, np.sqrt(0.125 * 0.875) / 2 / 0.125]
    np.testing.assert_allclose(quality.log_standard_error, errors)
    assert proxy.compare(shape, shape.take(np.array([0])))[1] == pytest.approx(
        ((rows[1] - rows[0]) / 0.625).std(ddof=1) / 2
    )

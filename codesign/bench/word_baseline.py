"""The line that a sentence classifier has to beat: logistic regression on weighted counts of words.

Counts of words and of pairs of neighbours become tf-idf as scikit-learn has it with sublinear counts: (1 + ln tf)
(1 + ln((1 + n) / (1 + df))), each row of length 1. Multinomial logistic regression minimises the summed cross-entropy
plus |W|² / (2 C) by L-BFGS; the intercept is not penalised.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags_array
from scipy.special import log_softmax

from codesign.design import FloatArray
from codesign.text.labelled import LabelledText

FEWEST = 2
"""Training sentences that a word or pair must stand in."""

C = 4.0
"""Inverse strength of the penalty: on the shipped sentences 16 is no better, 1 is two points worse."""

ITERATIONS = 200

_WORD = re.compile(r"\w\w+")


def word_baseline(train: LabelledText, others: Sequence[Sequence[str]]) -> list[FloatArray]:
    """Fit on labelled sentences and return ln(probability), (n, classes), of the sentences of each other list."""
    counts = [Counter(_terms(text)) for text in train.texts]
    documents = Counter(term for one in counts for term in one)
    terms = sorted(term for term, count in documents.items() if count >= FEWEST)
    column = {term: i for i, term in enumerate(terms)}
    weight = 1 + np.log((1 + len(counts)) / (1 + np.array([documents[term] for term in terms])))
    matrix = _rows(counts, column, weight)
    coefficients, intercept = _fitted(matrix, np.eye(len(train.classes))[train.labels])
    rows = (_rows([Counter(_terms(text)) for text in texts], column, weight) for texts in others)
    return [log_softmax(row @ coefficients + intercept, axis=1) for row in rows]


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in itertools.pairwise(words)]


def _rows(counts: Sequence[Counter[str]], column: dict[str, int], weight: FloatArray) -> csr_matrix:
    """(n, terms) weighted rows of length 1; a row without a known term is 0."""
    known = [[(column[term], count) for term, count in one.items() if term in column] for one in counts]
    columns = np.array([c for one in known for c, _ in one], dtype=np.int64)
    values = 1 + np.log(np.array([count for one in known for _, count in one], dtype=float))
    starts = np.concatenate([[0], np.cumsum([len(one) for one in known])])
    matrix = csr_matrix((values * weight[columns], columns, starts), shape=(len(counts), len(column)))
    length = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    return csr_matrix(diags_array(1 / np.where(length > 0, length, 1.0)) @ matrix)


def _fitted(matrix: csr_matrix, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(terms, classes) coefficients and (classes,) intercept for (n, terms) rows and (n, classes) ones and zeros."""
    terms, classes = matrix.shape[1], truth.shape[1]
    across = csr_matrix(matrix.T)

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        both = flat.reshape(terms + 1, classes)
        w, b = both[:-1], both[-1]
        logarithms = log_softmax(matrix @ w + b, axis=1)
        miss = np.exp(logarithms) - truth
        slope = np.vstack([across @ miss + w / C, miss.sum(axis=0)])
        return float(-(truth * logarithms).sum() + (w * w).sum() / (2 * C)), slope.ravel()

    start = np.zeros((terms + 1) * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x
    both = found.reshape(terms + 1, classes)
    return both[:-1], both[-1]

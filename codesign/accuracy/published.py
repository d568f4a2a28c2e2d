"""Error of a fine-tuned BERT-base after compression, from published figures: each term names its source.

error = 1 - score / 100,  score = max(floor, ceiling - what unstructured pruning, heads and FFN units left out, FFNs
removed, and narrow numbers cost)

Coefficients, errors and sources: published/*.toml; equations: `published_terms`; refused: `published_checks`. The name
says task, pruning method (none = soft movement with distillation) and number format (none = integers).

Assumed, because no source measured two kinds of compression together: drops add up; where two are applied the design is
marked as extrapolated, and the sum may be wrong by a quarter of all drops but the largest (published/formats.toml).

Left out: attention spans, depth and width (no law: refused); where in the depth something is left out; the number
format's exponent bits; what a better teacher, longer training or another seed would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from codesign.accuracy.identity import digest
from codesign.accuracy.proxy import PUBLISHED, SHAPE_GENES, Errors, Quality
from codesign.accuracy.published_checks import check_choices, check_family, check_shape
from codesign.accuracy.published_file import Format, Formats, Method, Step, Task, read_formats, read_task
from codesign.accuracy.published_terms import Group, Term, ffn_removal, number_format, structured, unstructured
from codesign.design import BoolArray, Family, FloatArray, ModelShape


@dataclass(frozen=True)
class Prediction:
    """Scores of n shapes in points, and where they come from."""

    terms: dict[str, Term]
    """Ceiling first; their points sum to the score."""
    score: FloatArray  # (n,)
    loadings: FloatArray  # (n, k) standard errors of what all designs share, points
    residual: FloatArray  # (n,) standard error of each design's own, points
    extrapolated: BoolArray  # (n,)

    @property
    def error(self) -> FloatArray:
        """(n,) 1 - score / 100."""
        return np.asarray(1 - self.score / 100)

    @property
    def shared(self) -> FloatArray:
        """(n, k) standard errors of ln(error) by what all designs share."""
        return self.loadings / (100 * self.error[:, None])

    @property
    def own(self) -> FloatArray:
        """(n,) standard error of ln(error) that is each design's own."""
        return self.residual / (100 * self.error)


@dataclass(frozen=True)
class Published:
    """The published laws of one task, one pruning method and one number format as a proxy."""

    name: str
    task_name: str
    task: Task
    method: Method
    formats: Formats
    number_format: Format
    reads: frozenset[str] = SHAPE_GENES

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse what no source covers; see `published_checks`."""
        check_family(self.name, family)
        check_choices(self.name, self.task, self._steps, family, choices)

    def predict(self, shape: ModelShape) -> Quality:
        """Return the error of n shapes, 1 - score / 100, with the standard error of its logarithm.

        Raises:
            ProxyError: a shape that no source covers.
        """
        found = self.explain(shape)
        error = np.sqrt((found.shared**2).sum(axis=1) + found.own**2)
        return Quality("error", found.error, error, found.extrapolated)

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's; the laws know more than the two errors
    ) -> FloatArray:
        """Return the standard error of ln(error / error of the baseline); 0 for a shape of the baseline's terms.

        Errors of coefficients that both use cancel; what the laws do not explain is each design's own.
        """
        found, reference = self.explain(shape), self.explain(baseline)
        shared = ((found.shared - reference.shared) ** 2).sum(axis=1)
        differ = np.any([term.points != reference.terms[name].points for name, term in found.terms.items()], axis=0)
        return np.where(differ, np.sqrt(shared + found.own**2 + reference.own**2), 0.0)

    def identity(self) -> str:
        """Return the hash of all coefficients."""
        return digest(*map(msgspec.json.encode, (self.task, self.method, self.formats, self.number_format)))

    def terms(self, shape: ModelShape) -> dict[str, Term]:
        """Return the named parts of the scores of n shapes, in points, each with its error and source."""
        return self.explain(shape).terms

    def explain(self, shape: ModelShape) -> Prediction:
        """Return the scores of n shapes with all that is known about them.

        Raises:
            ProxyError: a shape that no source covers.
        """
        check_shape(self.name, self.task, self._steps, shape)
        n, ceiling = len(shape), self.method.ceiling
        groups = self._groups(shape)
        constant = np.full(n, ceiling.standard_error)
        terms = {"ceiling": Term(np.full(n, ceiling.value), constant, np.zeros(n, np.bool_), ceiling.source)}
        for group in groups:
            terms |= group.terms
        drops, several = _together(groups)
        doubt = self.formats.interaction.standard_error * (drops.sum(axis=0) - drops.max(axis=0))
        terms["interaction"] = Term(np.zeros(n), doubt, several, self.formats.interaction.source)
        summed = np.sum([term.points for term in terms.values()], axis=0)
        score = np.maximum(summed, self.task.floor.value)
        terms["floor"] = Term(score - summed, np.zeros(n), score > summed, self.task.floor.source)
        return Prediction(
            terms=terms,
            score=score,
            loadings=np.concatenate([_of_ceiling(constant, groups)[:, None], *(g.loadings for g in groups)], axis=1),
            residual=np.sqrt(doubt**2 + np.sum([group.residual**2 for group in groups], axis=0)),
            extrapolated=np.any([term.extrapolated for term in terms.values()], axis=0),
        )

    @property
    def _steps(self) -> tuple[Step, ...]:
        return self.formats.integer if self.number_format == "integer" else self.formats.float

    def _groups(self, shape: ModelShape) -> list[Group]:
        task = self.task
        groups = [unstructured(shape, self.method.law, task.attention_share)]
        if task.structured is not None:
            groups.append(structured(shape, task.structured, task.ffn_removal is not None))
        if task.ffn_removal is not None:
            groups.append(ffn_removal(shape, task))
        return [*groups, number_format(shape, self._steps, self.task_name, self.method.ceiling.value)]


def published(name: str) -> Published:
    """Return a shipped proxy by a name of `proxy.PUBLISHED`."""
    task, method, number_format = PUBLISHED[name]
    sources = read_task(task)
    return Published(name, task, sources, sources.methods[method], read_formats(), number_format)


def _together(groups: list[Group]) -> tuple[FloatArray, BoolArray]:
    """Return the (g, n) drops of all kinds of compression, and (n,) whether a design has more than one of them."""
    applied = np.sum([group.applied for group in groups], axis=0)
    return np.stack([group.drop for group in groups]), np.asarray(applied > 1)


def _of_ceiling(error: FloatArray, groups: list[Group]) -> FloatArray:
    """Return the (n,) part of the ceiling's error that reaches the score.

    A law beyond its allowance predicts level - slopes · x with a level of its own: allowance = level - ceiling, so the
    ceiling drops out once, and comes back with the opposite sign where two such laws apply.
    """
    return np.asarray(error * (1 - np.sum([group.own_level for group in groups], axis=0)))

"""The user's files as a task of a checkpoint: labelled sentences, rated sentences, running text, or questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from codesign.design import IntArray
from codesign.errors import InputError
from codesign.pretrained import question_windows
from codesign.pretrained.answering import answering
from codesign.pretrained.checkpoint import published_answer_head
from codesign.pretrained.classification import classification, encoded, read_tokenizer
from codesign.pretrained.language import language
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.objective import Objective
from codesign.pretrained.question_windows import windows_of
from codesign.text.documents import plain_documents
from codesign.text.labelled import LabelledText, read_rated, read_tsv
from codesign.text.squad import checked, read_squad

Format = Literal["glue", "rated", "text", "squad"]

WINDOW = 128
"""Tokens of a window of running text."""
HELD_OUT = 5
"""One example of so many is measured on, the others are trained on."""


@dataclass(frozen=True)
class TaskFiles:
    """Where the examples are and how they are written."""

    paths: tuple[Path, ...]
    format: Format
    """glue: TSV with a header; rated: id, rating -4..4, text (VADER); text: running text for language models;
    squad: questions and contexts, SQuAD 1.1 or 2.0."""
    text: str = "sentence"
    label: str = "label"
    pair: str | None = None
    """Names of columns of a TSV."""
    limit: int | None = None
    """Use so many examples, drawn at random; None = all."""
    batch: int = 16
    seed: int = 0
    """Of the draw, of what is held out, and of the order of training."""


def read_task(files: TaskFiles, checkpoint: Checkpoint, directory: Path) -> Objective:
    """Return the task that files describe.

    Args:
        files: the user's.
        checkpoint: predicts.
        directory: of the checkpoint, with its tokenizer.

    Raises:
        InputError: numbers out of range, files that cannot be used, no tokenizer, too few examples, or running text for
            a checkpoint that has no output projection, or questions for one with a decoder.
    """
    check_numbers(files)
    tokenizer = read_tokenizer(directory)
    if files.format == "text":
        return _language(files, checkpoint, tokenizer)
    if files.format == "squad":
        return _answering(files, checkpoint, tokenizer, directory)
    data = _labelled(files)
    examples = encoded(data, tokenizer)
    train, test = held_out(len(examples), files.limit, files.seed)
    objective = classification(examples.take(train), examples.take(test), files.batch, files.seed)
    return replace(objective, classes=data.classes)


def check_numbers(files: TaskFiles) -> None:
    """Refuse numbers that no draw of examples can go by.

    Raises:
        InputError: a limit or batch below 1, or a negative seed.
    """
    for name, value, least in (("limit", files.limit, 1), ("batch", files.batch, 1), ("seed", files.seed, 0)):
        if value is not None and value < least:
            raise InputError(f"task: {name}: expected {least} or more, got {value}")


def held_out(n: int, limit: int | None, seed: int) -> tuple[IntArray, IntArray]:
    """Return the rows to train on and those to measure on: `limit` of n at random, a fifth of them held out.

    Raises:
        InputError: fewer than ten examples.
    """
    rows = np.random.default_rng(seed).permutation(n)[:limit]
    if len(rows) < 2 * HELD_OUT:
        raise InputError(f"task: expected at least {2 * HELD_OUT} examples, got {len(rows)}")
    measured = len(rows) // HELD_OUT
    return np.sort(rows[measured:]), np.sort(rows[:measured])


def held_out_contexts(contexts: Sequence[str], limit: int | None, seed: int) -> tuple[IntArray, IntArray]:
    """Return the questions to train on and those to measure on: of a fifth of the contexts, but of two at least.

    Args:
        contexts: of n questions.
        limit: so many questions, drawn at random; None = all.
        seed: of the draw.

    Raises:
        InputError: fewer than ten questions, or than five contexts.
    """
    rows = np.random.default_rng(seed).permutation(len(contexts))[:limit]
    groups = list(dict.fromkeys(contexts[row] for row in rows))
    if len(rows) < 2 * HELD_OUT or len(groups) < HELD_OUT:
        raise InputError(f"task: expected at least {2 * HELD_OUT} questions about {HELD_OUT} contexts, got {len(rows)} "
                         f"about {len(groups)}")  # fmt: skip
    chosen, measured = set(groups[: max(2, len(groups) // HELD_OUT)]), np.zeros(len(rows), dtype=np.bool_)
    measured[:] = [contexts[row] in chosen for row in rows]
    return np.sort(rows[~measured]), np.sort(rows[measured])


def window_length(checkpoint: Checkpoint) -> int:
    """Return the tokens of a window of question and context."""
    family, longest = checkpoint.base.family, question_windows.LONGEST
    return min(longest, family.position_count) if family.positions == "learned" else longest


def _answering(files: TaskFiles, checkpoint: Checkpoint, tokenizer: Any, directory: Path) -> Objective:
    if checkpoint.base.family.stacks != ("encoder",):
        raise InputError(
            f"task: questions are for encoders, this checkpoint has {' and '.join(checkpoint.base.family.stacks)}"
        )
    questions = checked([one for path in files.paths for one in read_squad(path)], ", ".join(map(str, files.paths)))
    parts = held_out_contexts([one.context for one in questions], files.limit, files.seed)
    length = window_length(checkpoint)
    train, test = ([questions[row] for row in rows] for rows in parts)
    seen = [(part, windows_of([(one.question, one.context) for one in part], tokenizer, length))
            for part in (train, test)]  # fmt: skip
    head = published_answer_head(directory, checkpoint)
    return answering(*seen, batch=files.batch, seed=files.seed, head=head)


def _labelled(files: TaskFiles) -> LabelledText:
    if files.format == "rated":
        return read_rated(files.paths)
    if len(files.paths) != 1:
        raise InputError(f"task: expected one TSV, got {len(files.paths)}")
    return read_tsv(files.paths[0], text=files.text, label=files.label, pair=files.pair)


def _language(files: TaskFiles, checkpoint: Checkpoint, tokenizer: Any) -> Objective:
    if not checkpoint.base.family.lm_head:
        raise InputError("task: running text is for checkpoints with an output projection (GPT-2, T5), this one has "
                         "none; give labelled sentences")  # fmt: skip
    documents = [document for path in files.paths for document in plain_documents(path, "paragraph")]
    tokens = [token for ids in tokenizer(documents, add_special_tokens=False)["input_ids"] for token in ids]
    known = checkpoint.base.family.position_count if checkpoint.base.family.positions == "learned" else WINDOW
    length = min(WINDOW, known)
    windows = np.array(tokens[: len(tokens) // length * length], dtype=np.int64).reshape(-1, length)
    train, test = held_out(len(windows), files.limit, files.seed)
    words = sum(len(document.split()) for document in documents)
    both = len(checkpoint.base.family.stacks) == 2
    return language(
        windows[train],
        windows[test],
        batch=files.batch,
        seed=files.seed,
        sentinels=_sentinels(tokenizer) if both else None,
        tokens_per_word=None if both else len(tokens) / words,
    )


def _sentinels(tokenizer: Any) -> tuple[int, ...]:
    """Tokens <extra_id_0>, <extra_id_1> ... of T5."""
    known = tokenizer.get_vocab()
    names = (f"<extra_id_{i}>" for i in range(len(known)))
    found: list[int] = []
    for name in names:
        if name not in known:
            break
        found.append(int(known[name]))
    return tuple(found)

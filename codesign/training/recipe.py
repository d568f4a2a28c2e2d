"""The recipe of a training: a TOML file in which every field is explicit. What is trained is the search space's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from codesign import files
from codesign.errors import InputError
from codesign.training.answers_table import AnswersTable, check_answers
from codesign.training.compression import CompressionTable
from codesign.training.recipe_table import BelowOne, Count, Fraction, Natural, NotNegative, Positive, Table


class TextTable(Table, frozen=True):
    """The text and how it becomes numbers."""

    corpus: str
    """A shipped corpus ("sotu"), or a loader that reads `path`: "text" (a file is a document), "paragraphs" (between
    blank lines), "wikitext". Of the documents, index % 20 == 0 is test and index % 20 == 10 is validation."""
    path: str
    """File or folder of the user's own text; "" with a shipped corpus."""
    vocabulary: Annotated[int, msgspec.Meta(ge=257)]
    """Entries of the byte-level BPE that is trained on the training documents; 256 bytes and the end of document are
    the least. The embedding table has as many rows, whatever the search space's family says."""
    window: Annotated[int, msgspec.Meta(ge=2)]
    """Tokens of a training window (and positions of the model)."""


class SentencesTable(Table, frozen=True):
    """Sentences with a class each. A recipe with this table trains a classifier.

    The text's corpus is then a shipped one with classes ("sotu": the period of the address), or a loader: "tsv" (`path`
    is a folder with train.tsv and dev.tsv, as GLUE has them), "datasets" (a folder that `DatasetDict.save_to_disk` of
    that library wrote, with the parts train and validation) or "rated" (`path` is a file or a folder of rated
    sentences, of which index % 20 == 10 is validation). The window is the most tokens of a sentence; longer ones are
    cut.
    """

    classes: Annotated[int, msgspec.Meta(ge=2)]
    """Of "sotu": into how many periods the years are cut; of your own text: how many are expected."""
    text: str
    """Column of a TSV file or a data set; "" otherwise."""
    label: str
    """Column of a TSV file or a data set; "" otherwise."""
    exits: Literal["none", "equal", "depth"]
    """Classifiers, and their weights in the loss: one after the last layer; one after every layer, all equal (BERxiT's
    joint training, Xin 2021); the same in proportion to the layer's number (Kaya 2019; PABEE, Zhou 2020)."""


class OptimiserTable(Table, frozen=True):
    """AdamW (Loshchilov and Hutter 2019), and of whatever optimiser a linear warm-up and a cosine decay."""

    learning_rate: Positive
    """At the end of the warm-up."""
    beta1: BelowOne
    beta2: BelowOne
    epsilon: Positive
    weight_decay: NotNegative
    """Of matrices, Muon's too; biases and norms are not decayed."""
    warmup_steps: Natural
    floor: Fraction
    """Learning rate after the last step, as a fraction of the highest."""
    clip: Positive
    """The norm of all gradients together is cut to this."""


class MuonTable(Table, frozen=True):
    """Muon (Jordan 2024) for the matrices inside the layers; AdamW trains the rest, or all."""

    learning_rate: NotNegative
    """At the end of the warm-up, in the scale of AdamW's (Liu 2025); 0 = AdamW trains all."""
    momentum: BelowOne


class SandwichTable(Table, frozen=True):
    """Which sub-networks a step trains: the largest, the smallest, and some drawn uniformly (Yu 2019)."""

    random_settings: Natural
    distillation: Fraction
    """Weight of the largest's output as the target of the others; the rest is the text's (BigNAS, Yu 2020)."""
    temperature: Positive
    """Both outputs are divided by it before the softmax (Hinton 2015)."""
    gradient_projection: bool
    """Add the largest's gradient as NASViT does (Gong 2022): without the part that the others contradict."""


class SpanTable(Table, frozen=True):
    """Spans that are learned beside the weights (Sukhbaatar 2019); spans that a space varies need none of it."""

    loss: NotNegative
    """Weight of the mean span, in keys, in the loss; 0 = no span is learned."""
    ramp: Count
    """Keys over which the soft mask falls from 1 to 0."""
    start: Fraction
    """Of the window: the span of every head at the first step."""


class PruningTable(Table, frozen=True):
    """When weights are removed, in spaces that vary densities (Zhu and Gupta 2017, eq. 1)."""

    start_step: Natural
    """Every sub-network is dense before it."""
    ramp_steps: Natural
    """From then on the density falls to the drawn one within so many steps: 1 - (1 - d) (1 - (1 - progress)^3)."""


class EvaluationTable(Table, frozen=True):
    """What is measured on the validation text while training."""

    every: Count
    windows: Count
    """The first so many windows, the same each time; of a classifier so many sentences, of an answer model so many
    questions, spread over all."""
    batch: Count
    random_settings: Natural
    """Fixed sub-networks that are measured besides the largest and the smallest."""


class CheckpointTable(Table, frozen=True):
    """When the state is saved besides at the end; whatever comes first."""

    every_steps: Count
    every_minutes: Positive


class Recipe(Table, frozen=True, kw_only=True):
    """Everything that decides a training besides the search space."""

    format: Literal[1]
    description: str
    seed: Natural
    steps: Count
    batch: Count
    """Windows (sentences of a classifier, windows on contexts of an answer model) a step, in all workers together."""
    threads: Count
    """CPU threads; the weights depend on them in their last bits."""
    precision: Literal["float32", "bfloat16"]
    """bfloat16: products in 16 bits under torch's autocast; weights, gradients and optimiser stay in 32."""
    log_every: Count
    divergence: Positive
    """Nats by which the smoothed loss of the largest may rise above its lowest before the training stops."""
    text: TextTable
    sentences: SentencesTable | None = None
    """Only in the recipe of a classifier."""
    answers: AnswersTable | None = None
    """Only in the recipe of a network that points at answers."""
    optimiser: OptimiserTable
    muon: MuonTable
    sandwich: SandwichTable
    spans: SpanTable
    pruning: PruningTable
    compression: CompressionTable | None = None
    """Left out where densities keep the largest of what the family says, and bits are of integers."""
    evaluation: EvaluationTable
    checkpoint: CheckpointTable


def read_recipe(name_or_path: str | Path, seed: int | None = None, steps: int | None = None) -> files.Document[Recipe]:
    """Read a recipe by shipped name or path; `seed` and `steps` replace its own where given.

    Raises:
        InputError: an unknown name, an unreadable file, or values that contradict each other.
    """
    document = files.read("recipe", name_or_path, Recipe)
    given = {name: value for name, value in (("seed", seed), ("steps", steps)) if value is not None}
    recipe = files.convert(msgspec.to_builtins(document.content) | given, "--seed, --steps", Recipe)
    try:
        _check(recipe)
    except InputError as error:
        raise InputError(f"{document.origin}: {error}") from None
    return files.Document(document.name, document.origin, document.text, recipe)


class _OnlyText(msgspec.Struct, frozen=True):
    text: TextTable
    sentences: SentencesTable | None = None
    answers: AnswersTable | None = None


def text_of(recipe: str) -> TextTable:
    """Return the text of a recipe that was kept with a trained network, perhaps by an older version."""
    return msgspec.toml.decode(recipe, type=_OnlyText).text


def sentences_of(recipe: str) -> SentencesTable:
    """Return the classes of a recipe that was kept with a trained classifier.

    Raises:
        InputError: it is a language model's.
    """
    table = msgspec.toml.decode(recipe, type=_OnlyText).sentences
    if table is None:
        raise InputError("recipe of the network: expected [sentences] beside a classifier, got none")
    return table


def answers_of(recipe: str) -> AnswersTable:
    """Return how a recipe that was kept with a trained network asks for answers.

    Raises:
        InputError: it is of another task.
    """
    table = msgspec.toml.decode(recipe, type=_OnlyText).answers
    if table is None:
        raise InputError("recipe of the network: expected [answers] beside an answer head, got none")
    return table


def _check(recipe: Recipe) -> None:
    """Refuse what types alone cannot."""
    if recipe.optimiser.warmup_steps >= recipe.steps:
        raise InputError(
            f"optimiser.warmup_steps: expected less than the {recipe.steps} steps, got {recipe.optimiser.warmup_steps}"
        )
    if recipe.pruning.start_step + recipe.pruning.ramp_steps > recipe.steps:
        raise InputError(
            f"pruning: expected start_step + ramp_steps within the {recipe.steps} steps, "
            f"got {recipe.pruning.start_step} + {recipe.pruning.ramp_steps}"
        )
    if recipe.answers is not None:
        if recipe.sentences is not None:
            raise InputError("[sentences], [answers]: expected one task, got both; leave one of the tables out")
        check_answers(recipe.answers, recipe.text.window)

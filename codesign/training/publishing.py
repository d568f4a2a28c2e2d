"""What a finished training leaves: the network as the search measures it, see `codesign.elastic.saved`."""

from __future__ import annotations

from codesign.elastic import saved
from codesign.elastic.trained_choices import choices_of
from codesign.errors import InputError
from codesign.space import SearchSpace
from codesign.training import checkpoint, folder, start
from codesign.training.errors import TrainingError
from codesign.training.trainer import Trainer


def publish(trainer: Trainer, space: SearchSpace) -> None:
    """Write the network into the training's directory.

    Args:
        trainer: a training that has done its steps.
        space: what was trained.

    Raises:
        TrainingError: the disk is full or cannot be written; the last checkpoint has the weights too.
    """
    recipe, began = trainer.recipe, start.card_in(trainer.directory)
    card = {
        "corpus": recipe.text.corpus,
        "tokenizer": trainer.text.tokenizer.vocabulary,
        "window": recipe.text.window,
        "space": folder.read_manifest(trainer.directory).space,
        "recipe": (trainer.directory / folder.RECIPE).read_text(encoding="utf-8"),
        "seed": recipe.seed,
        "trained_tokens": recipe.steps * trainer.lessons.tokens + (began.trained_tokens if began else 0),
        "continued_from": trainer.identity.start,
        "reach": trainer.spans.reach() if trainer.spans is not None else (),
        "choices": choices_of(space),
    }
    try:
        saved.save(trainer.directory, trainer.model, card)
    except InputError as error:
        kept = checkpoint.last_good(checkpoint.newest(trainer.directory))
        raise TrainingError(f"{error}; {kept}; make room, then --resume") from error

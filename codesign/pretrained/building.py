"""Which class of transformers holds a checkpoint, and a network of random weights from its config."""

from __future__ import annotations

from typing import Any

from codesign.design import ModelShape
from codesign.errors import InputError, unknown_name
from codesign.huggingface import config_shape
from codesign.pretrained.kinds import KINDS
from codesign.pretrained.model import Checkpoint, adopt


def base_of(config: dict[str, Any], origin: str) -> ModelShape:
    """Return the shape (n = 1) that a config describes.

    Raises:
        InputError: not one of the architectures known, or a config that they do not have; `origin` names it.
    """
    if config.get("model_type") not in KINDS:
        raise InputError(f"{origin}: {unknown_name('model_type', str(config.get('model_type')), KINDS)}")
    return config_shape(config, origin)


def class_of(base: ModelShape) -> Any:
    """Return the class of transformers that holds a network: with its output projection where it has one."""
    import transformers

    if base.family.lm_head:
        both = len(base.family.stacks) == 2
        return transformers.AutoModelForSeq2SeqLM if both else transformers.AutoModelForCausalLM
    if base.family.positions == "relative" and base.family.stacks == ("encoder",):
        return transformers.T5EncoderModel
    return transformers.AutoModel


def built(config: dict[str, Any], pooler: bool = True) -> Checkpoint:
    """Return a randomly initialised network of a config of transformers.

    Raises:
        InputError: not one of the architectures known.
    """
    import transformers

    base = base_of(config, "config")
    made = transformers.AutoConfig.for_model(**config)
    options = {} if pooler or not base.family.pooler else {"add_pooling_layer": False}
    maker = class_of(base)
    make = getattr(maker, "from_config", None) or maker._from_config
    return adopt(make(made, attn_implementation="eager", **options), base, config).ready()

"""A tokenizer of words with the special tokens of BERT, and questions whose answer is told by its word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from codesign.text.squad import Answer, Question
from tests.pretrained.networks import CONFIGS, VOCABULARY

WORDS = ("red", "blue", *(f"word{i}" for i in range(30)))
ANSWERERS = ("albert", "bert", "distilbert")


def write_question_tokenizer(directory: Path) -> Any:
    """Write a tokenizer of a word a token, which puts [CLS] and [SEP] where BERT's does, and return it."""
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS)
    library = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    library.pre_tokenizer = WhitespaceSplit()  # type: ignore[assignment]
    library.post_processor = TemplateProcessing(  # type: ignore[assignment]
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=library, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    made.save_pretrained(directory)
    return made


def publish_answerer(kind: str, directory: Path) -> Any:
    """Write a network of a kind with a head for answers and random weights as transformers does, and return it."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCABULARY, **CONFIGS[kind])
    model = transformers.AutoModelForQuestionAnswering.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    return model.eval()


def questions(n: int, impossible: bool = True) -> list[Question]:
    """Two questions a context: the answer is the word red, or red and the word behind it; every fourth lacks it."""
    random = np.random.default_rng(0)
    made = []
    for i in range(n):
        words = [WORDS[place] for place in random.integers(2, len(WORDS), 6 + i // 2 % 12)]
        place = int(random.integers(0, len(words) - 1))
        without = impossible and i // 2 % 4 == 3
        words[place] = "blue" if without else "red"
        context = " ".join(words) + f" word{i // 2 % 30}"
        start = context.find("red")
        text = "red" if i % 2 else " ".join(words[place : place + 2])
        made.append(Question(f"q{i}", context, f"word1 {WORDS[i % 2]}", () if without else (Answer(text, start),)))
    return made


def write_squad(path: Path, asked: list[Question]) -> Path:
    """Write questions as SQuAD 2.0 does."""
    paragraphs = [
        {"context": one.context, "qas": [{
            "id": one.id, "question": one.question, "is_impossible": one.impossible,
            "answers": [{"text": answer.text, "answer_start": answer.start} for answer in one.answers]}]}
        for one in asked
    ]  # fmt: skip
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "colours", "paragraphs": paragraphs}]}))
    return path

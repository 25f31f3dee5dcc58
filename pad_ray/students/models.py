"""Students and their tokenizers, and the text formats they are trained and asked in.

A student comes from a hub id, a local folder, a GGUF file or a from-scratch configuration
(`scratch:<size>`), encoder-decoder (T5, CodeT5) or decoder-only (Llama, Qwen, GPT kinds).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Lfm2Config,
    Lfm2ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from pad_ray.base.errors import ConfigError, StudentError, reason_of
from pad_ray.students.card import CARD_FILE, StudentCard, read_card
from pad_ray.students.sizes import ScratchSize, scratch_size
from pad_ray.students.weights import load_pretrained, share_weights

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_PAD, _EOS = "<pad>", "</s>"
# A short convolution that sees fewer tokens than a name has pieces loses its place while it copies:
# "Javier Pierce" becomes "Javierce".
_KERNEL = 6
# Room for a program that a prompt must leave.
LEAST_PROGRAM = 16


@dataclass(frozen=True)
class Student:
    """A model with its tokenizer and card; `model` is in evaluation mode after loading."""

    model: PreTrainedModel
    tokenizer: Any
    card: StudentCard

    @property
    def is_encoder_decoder(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)


def longest_text(student: Student) -> int | None:
    """Return how many tokens the student can read and write together, if it has a limit.

    An encoder-decoder can read as many, and write as many beside them.
    """
    limit = getattr(student.model.config, "max_position_embeddings", None)
    return int(limit) if limit else None


def positions_hold(config: Any, source: int, target: int) -> bool:
    """Tell whether a model of this config has positions for all the tokens it reads and writes.

    The end of what is written is one of them. A model without learned positions has no limit.
    """
    limit = getattr(config, "max_position_embeddings", None)
    if not limit:
        return True
    return bool((max(source, target) if config.is_encoder_decoder else source + target) <= limit)


def room_beside(student: Student, read: int) -> int | None:
    """Return how many tokens the student can write where it has read a prompt, if it has a limit.

    Beyond its positions a model fails, or writes what it was never trained for.
    """
    limit = longest_text(student)
    if limit is None:
        return None
    # An encoder-decoder's own text begins with a token that it did not write.
    return limit - (1 if student.is_encoder_decoder else read)


def prompt_fits(student: Student, source: str) -> bool:
    """Tell whether the student can read a prompt and still write a program."""
    limit = longest_text(student)
    if limit is None:
        return True
    read = len(tokenise_source(student.tokenizer, source, student.is_encoder_decoder))
    return read <= limit and limit - (0 if student.is_encoder_decoder else read) >= LEAST_PROGRAM


def tokenise_source(tokenizer: Any, source: str, is_encoder_decoder: bool) -> list[int]:
    """Return the ids of `source`, with the special tokens the family wants around an input."""
    if is_encoder_decoder:
        return list(tokenizer(source).input_ids)
    ids = list(tokenizer(source, add_special_tokens=False).input_ids)
    bos = tokenizer.bos_token_id
    return [bos, *ids] if bos is not None and bos != tokenizer.eos_token_id else ids


def tokenise_target(tokenizer: Any, target: str) -> list[int]:
    """Return the ids of `target`, closed by the end-of-sequence token."""
    ids = tokenizer(text_target=target, add_special_tokens=False).input_ids
    return [*ids, tokenizer.eos_token_id]


def load_student(source: str | Path, *, dtype: torch.dtype = torch.float32) -> Student:
    """Load a student for inference or further training from a folder, hub id or GGUF file."""
    text = str(source)
    quieten()
    if text.startswith("scratch:"):
        raise ConfigError("student: a scratch student is made by training, not loaded")
    with _told(text):
        if text.startswith((".", "/", "~")) and not Path(text).expanduser().exists():
            raise FileNotFoundError("no such file or folder")
        student = _load_gguf(Path(text), dtype) if text.endswith(".gguf") else _load(text, dtype)
    student.model.eval()
    return student


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Say in one line why a student cannot be loaded."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise StudentError(
            f"student: cannot load '{source}': {reason_of(error)} "
            "(expected a model folder, a hub id, a .gguf file or scratch:<size>)"
        ) from error


def _load(source: str, dtype: torch.dtype) -> Student:
    config = AutoConfig.from_pretrained(source)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = load_pretrained(auto, source, f"student: {source}", config=config, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(source)
    return Student(
        model, with_padding(tokenizer, f"student: {source}"), read_card(Path(source), source)
    )


def check_loadable(source: str) -> None:
    """Raise `StudentError` where a student's configuration or tokenizer cannot be loaded.

    It reads no weights, and nothing of a GGUF file, which holds all in one.
    """
    quieten()
    if source.endswith(".gguf"):
        return
    with _told(source):
        AutoConfig.from_pretrained(source)
        with_padding(AutoTokenizer.from_pretrained(source), f"student: {source}")


def _load_gguf(path: Path, dtype: torch.dtype) -> Student:
    if not path.is_file():
        raise StudentError(f"student: {path}: no such file")
    folder, file = str(path.parent), path.name
    quantised = load_pretrained(
        AutoModelForCausalLM, folder, f"student: {path}", gguf_file=file, dtype=dtype
    )
    config = quantised.config
    # transformers refuses to save a model that remembers its GGUF origin.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.load_state_dict(quantised.state_dict())
    model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    return Student(
        model, with_padding(tokenizer, f"student: {path}"), StudentCard("program", path.name)
    )


def with_padding(tokenizer: Any, name: str) -> Any:
    """Return the tokenizer, which pads by its end token where it has none for that.

    `StudentError` where it has no end token: nothing that a student writes would ever end.
    """
    if tokenizer.eos_token_id is None:
        raise StudentError(f"{name}: its tokenizer names no end-of-sequence token (eos_token)")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def make_scratch_student(
    source: str, texts: Iterable[str], *, card: StudentCard, seed: int, tokenizer: Any = None
) -> Student:
    """Make an untrained student whose byte-level BPE tokenizer is trained on `texts`.

    Digits are single tokens, so that numbers are copied digit by digit. A `tokenizer` that is
    given takes that one's place.
    """
    size = scratch_size(source)
    tokenizer = tokenizer or _train_tokenizer(texts, size.vocabulary)
    torch.manual_seed(seed)
    model = _lfm2(size, tokenizer) if size.kind == "lfm2" else _t5(size, tokenizer)
    return Student(model, tokenizer, card)


def _train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[_PAD, _EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=_PAD,
        eos_token=_EOS,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _lfm2(size: ScratchSize, tokenizer: Any) -> PreTrainedModel:
    # Its short convolutions see the tokens just before each one, so that copying names and
    # numbers from the question takes a small model far fewer steps than attention alone.
    return Lfm2ForCausalLM(
        Lfm2Config(
            vocab_size=len(tokenizer),
            hidden_size=size.hidden,
            intermediate_size=size.hidden * 3,
            block_auto_adjust_ff_dim=False,
            num_hidden_layers=size.layers,
            layer_types=["conv", "full_attention"] * (size.layers // 2),
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=2048,
            conv_L_cache=_KERNEL,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _t5(size: ScratchSize, tokenizer: Any) -> PreTrainedModel:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=size.hidden,
            d_kv=size.hidden // size.heads,
            d_ff=size.hidden * 3,
            num_layers=size.layers,
            num_heads=size.heads,
            feed_forward_proj="gated-gelu",
            decoder_start_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def quieten() -> None:
    """Keep transformers' progress bars and advice off the terminal."""
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def save_student(student: Student, folder: Path) -> None:
    """Write weights (safetensors), tokenizer and card so that `load_student(folder)` works."""
    quieten()
    folder.mkdir(parents=True, exist_ok=True)
    student.model.save_pretrained(folder)
    student.tokenizer.save_pretrained(folder)
    card = folder / CARD_FILE
    card.write_text(json.dumps(asdict(student.card), indent=2) + "\n", encoding="utf-8")
    share_weights(card)

"""Tiny untrained models of every family that students are likely to be of."""

from __future__ import annotations

from collections.abc import Callable

import torch
import transformers as hf
from transformers import PretrainedConfig, PreTrainedModel

# Short, so that a text of a few dozen tokens reaches beyond it.
WINDOW = 8
_LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4}
_SHAPE = {**_LAYERS, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 256}
_GROUPED = {**_SHAPE, "num_key_value_heads": 2}
_GEMMA = {**_GROUPED, "head_dim": 8, "sliding_window": WINDOW}
_QWEN_WINDOW = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 0}
_BLOCKS = {"n_layer": 2, "n_head": 4}

# By name: the configuration for a vocabulary of some size.
FAMILIES: dict[str, Callable[[int], PretrainedConfig]] = {
    "llama": lambda v: hf.LlamaConfig(vocab_size=v, **_GROUPED),
    "qwen2": lambda v: hf.Qwen2Config(vocab_size=v, **_GROUPED),
    "qwen2 with a window": lambda v: hf.Qwen2Config(vocab_size=v, **_GROUPED, **_QWEN_WINDOW),
    "mistral": lambda v: hf.MistralConfig(vocab_size=v, **_GROUPED, sliding_window=WINDOW),
    "gemma2": lambda v: hf.Gemma2Config(vocab_size=v, **_GEMMA),
    "gemma3": lambda v: hf.Gemma3TextConfig(vocab_size=v, **_GEMMA),
    "phi": lambda v: hf.PhiConfig(vocab_size=v, **_SHAPE),
    "gpt2": lambda v: hf.GPT2Config(vocab_size=v, n_embd=32, n_positions=256, **_BLOCKS),
    "gpt_neo": lambda v: hf.GPTNeoConfig(
        vocab_size=v,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=WINDOW,
        max_position_embeddings=256,
    ),
    "opt": lambda v: hf.OPTConfig(
        vocab_size=v, hidden_size=32, ffn_dim=64, word_embed_proj_dim=32, **_LAYERS
    ),
    "falcon, rotary": lambda v: hf.FalconConfig(vocab_size=v, hidden_size=32, **_LAYERS),
    "falcon, alibi": lambda v: hf.FalconConfig(vocab_size=v, hidden_size=32, alibi=True, **_LAYERS),
    "bloom": lambda v: hf.BloomConfig(vocab_size=v, hidden_size=32, **_BLOCKS),
    "mpt": lambda v: hf.MptConfig(vocab_size=v, d_model=32, n_layers=2, n_heads=4, max_seq_len=256),
    "lfm2": lambda v: hf.Lfm2Config(
        vocab_size=v, layer_types=["conv", "full_attention"], **_GROUPED
    ),
    "mamba2": lambda v: hf.Mamba2Config(
        vocab_size=v, hidden_size=32, num_hidden_layers=2, num_heads=4, head_dim=16, n_groups=1
    ),
    "t5": lambda v: hf.T5Config(
        vocab_size=v,
        d_model=32,
        d_ff=64,
        d_kv=8,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
    ),
}
# Those that are refused, since transformers reads a row of them by its neighbours.
REFUSED: dict[str, Callable[[int], PretrainedConfig]] = {
    "mamba": lambda v: hf.MambaConfig(vocab_size=v, hidden_size=32, num_hidden_layers=2),
    "falcon_mamba": lambda v: hf.FalconMambaConfig(
        vocab_size=v, hidden_size=32, num_hidden_layers=2
    ),
    "bart": lambda v: hf.BartConfig(
        vocab_size=v,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=256,
    ),
}


def family(name: str, vocabulary: int) -> PreTrainedModel:
    """Return an untrained model; its weights are far enough apart to show what it attends to."""
    config = (FAMILIES | REFUSED)[name](vocabulary)
    torch.manual_seed(0)
    kind = hf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else hf.AutoModelForCausalLM
    model: PreTrainedModel = kind.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model

"""The batched attention gives what SDPA gives, and is used only where it is the quicker one."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pad_ray.students.card import StudentCard
from pad_ray.students.inference.attention import NAME, batched_attention, use_quick_attention
from pad_ray.students.inference.rows import Rows, next_token_logits
from pad_ray.students.models import make_scratch_student


def module(heads: int, groups: int) -> torch.nn.Module:
    """What SDPA reads of an attention module."""
    found = torch.nn.Module()
    found.num_key_value_groups = heads // groups
    found.is_causal = True
    return found


def padding_mask(rows: int, new: int, columns: int) -> torch.Tensor:
    causal = torch.ones(new, columns, dtype=torch.bool).tril(columns - new)
    mask = causal.expand(rows, 1, new, columns).clone()
    for row in range(rows):
        mask[row, :, :, : row * 2] = False
    return mask


@pytest.mark.parametrize("kind", ["bool", "float", "none"])
@pytest.mark.parametrize("new", [1, 3, 8, 11])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_equals_sdpa(groups: int, new: int, kind: str) -> None:
    torch.manual_seed(new)
    rows, heads, columns, width = 4, 6, 20, 8
    if kind == "none" and new > 1:
        columns = new
    query = torch.randn(rows, heads, new, width)
    key, value = (torch.randn(rows, groups, columns, width) for _ in range(2))
    mask = None if kind == "none" else padding_mask(rows, new, columns)
    if kind == "float" and mask is not None:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    of = module(heads, groups)
    expected, _ = sdpa_attention_forward(of, query, key, value, mask)
    found, _ = batched_attention(of, query, key, value, mask)
    assert found.shape == (rows, new, heads, width)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_row_that_sees_nothing_stays_finite() -> None:
    query, key = torch.randn(2, 4, 1, 8), torch.randn(2, 2, 5, 8)
    mask = torch.zeros(2, 1, 1, 5, dtype=torch.bool)
    found, _ = batched_attention(module(4, 2), query, key, key, mask)
    assert found.isfinite().all()


def llama(dtype: torch.dtype, implementation: str = "sdpa") -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    config._attn_implementation = implementation
    return LlamaForCausalLM(config).to(dtype).eval()


def scratch(size: str) -> PreTrainedModel:
    made = make_scratch_student(
        size, ["def solution():"], card=StudentCard("program", "test"), seed=0
    )
    return made.model.to(torch.bfloat16).eval()


@pytest.mark.parametrize("kind", ["llama", "lfm2"])
def test_a_bf16_model_reads_on_as_its_whole_text(kind: str) -> None:
    model = llama(torch.bfloat16) if kind == "llama" else scratch("scratch:tiny")
    texts = [[11, 12, 13, 14, 15, 16], [21, 22, 23, 24]]
    rows = Rows(model, next_token_logits(model), 0, 2)
    assert model.config._attn_implementation == NAME
    rows.skim([text[:-2] for text in texts])
    rows.read([text[-2:-1] for text in texts])
    found = rows.read([text[-1:] for text in texts])
    for row, text in enumerate(texts):
        with torch.inference_mode():
            expected = model(torch.tensor([text])).logits[0, -1]
        torch.testing.assert_close(found[row], expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("dtype", "implementation"), [(torch.float32, "sdpa"), (torch.bfloat16, "eager")]
)
def test_other_models_keep_their_attention(dtype: torch.dtype, implementation: str) -> None:
    model = llama(dtype, implementation)
    use_quick_attention(model)
    assert model.config._attn_implementation == implementation


def test_an_encoder_decoder_keeps_its_attention() -> None:
    model = scratch("scratch:t5-tiny")
    before = model.config._attn_implementation
    use_quick_attention(model)
    assert model.config._attn_implementation == before

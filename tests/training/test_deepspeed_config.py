"""The user's DeepSpeed JSON: laid over the settings at every depth, and never against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_trainings import settings

from pad_ray.base.errors import ConfigError, PadError
from pad_ray.training.deepspeed_config import deepspeed_config

# What the Trainer's examples have in common (Hugging Face, "DeepSpeed integration").
_LOSS_SCALE = {"loss_scale": 0, "loss_scale_window": 1000, "initial_scale_power": 16}
_COMMON: dict[str, Any] = {
    "fp16": {"enabled": "auto", **_LOSS_SCALE, "hysteresis": 2, "min_loss_scale": 1},
    "bf16": {"enabled": "auto"},
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "steps_per_print": 2000,
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "wall_clock_breakdown": False,
}
_ADAMW = {
    "optimizer": {
        "type": "AdamW",
        "params": {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"},
    }
}
_WARMUP = {"warmup_min_lr": "auto", "warmup_max_lr": "auto", "warmup_num_steps": "auto"}
_CPU = {"device": "cpu", "pin_memory": True}
_NVME = {"device": "nvme", "nvme_path": "/local_nvme", "pin_memory": True, "buffer_count": 4}
_ZERO_3 = {
    "stage": 3,
    "overlap_comm": True,
    "contiguous_gradients": True,
    "sub_group_size": 1e9,
    "reduce_bucket_size": "auto",
    "stage3_prefetch_bucket_size": "auto",
    "stage3_param_persistence_threshold": "auto",
    "stage3_max_live_parameters": 1e9,
    "stage3_max_reuse_distance": 1e9,
    "stage3_gather_16bit_weights_on_model_save": True,
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "zero 2": {
        **_COMMON,
        **_ADAMW,
        "scheduler": {"type": "WarmupLR", "params": _WARMUP},
        "zero_optimization": {
            "stage": 2,
            "offload_optimizer": _CPU,
            "allgather_partitions": True,
            "allgather_bucket_size": 2e8,
            "overlap_comm": True,
            "reduce_scatter": True,
            "reduce_bucket_size": "auto",
            "contiguous_gradients": True,
            "round_robin_gradients": True,
        },
    },
    "zero 3": {
        **_COMMON,
        **_ADAMW,
        "scheduler": {"type": "WarmupDecayLR", "params": {**_WARMUP, "total_num_steps": "auto"}},
        "zero_optimization": {**_ZERO_3, "offload_optimizer": _CPU, "offload_param": _CPU},
    },
    "zero 3 on NVMe": {
        **_COMMON,
        "zero_optimization": {
            **_ZERO_3,
            "offload_optimizer": {**_NVME, "pipeline_read": False},
            "offload_param": {**_NVME, "buffer_size": 1e8, "max_in_cpu": 1e9},
        },
    },
    "zero 0": {"zero_optimization": {"stage": 0}, "bf16": {"enabled": "auto"}},
    "stage left open": {"zero_optimization": {"overlap_comm": True, "reduce_bucket_size": "auto"}},
    "all left open": {**dict.fromkeys(_COMMON, "auto"), "zero_optimization": "auto"},
}


def given_file(folder: Path, content: object) -> Path:
    file = folder / "ds.json"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_train_as_the_settings_say(tmp_path: Path, name: str, precision: str) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    example = EXAMPLES[name]
    zero = example["zero_optimization"]
    stage = zero.get("stage", 2) if isinstance(zero, dict) else 2
    file = given_file(tmp_path, example)
    asked = settings(
        tmp_path, tmp_path, deepspeed=file, zero_stage=stage, precision=precision, warmup_ratio=0.1
    )
    config = deepspeed_config(asked, steps=1000)
    read = DeepSpeedConfig({**config, "gradient_accumulation_steps": 3})
    assert read.zero_config.stage == stage
    assert read.bfloat16_config.enabled is (precision == "bf16")
    assert not read.float16_config.enabled
    assert (read.train_micro_batch_size_per_gpu, read.gradient_clipping) == (4, 1.0)
    for key, value in zero.items() if isinstance(zero, dict) else ():
        # DeepSpeed's field for what its JSON calls stage3_*.
        short = key.removeprefix("stage3_")
        if isinstance(value, dict):
            assert getattr(read.zero_config, short).device == value["device"]
        elif value != "auto":
            assert getattr(read.zero_config, short) == value, key
    if "optimizer" in example:
        wanted = {"lr": 3e-3, "weight_decay": 0.1, "betas": [0.9, 0.95]}
        assert read.optimizer_params == wanted
        params = {"warmup_min_lr": 0.0, "warmup_max_lr": 3e-3, "warmup_num_steps": 100}
        if read.scheduler_name == "WarmupDecayLR":
            params["total_num_steps"] = 1000
        assert read.scheduler_params == params


_JSON = st.recursive(
    st.integers() | st.just("auto") | st.booleans(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), _JSON))
def test_no_auto_is_left_and_all_else_stays(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("ds")
    bare = deepspeed_config(settings(folder, folder))
    config = deepspeed_config(settings(folder, folder, deepspeed=given_file(folder, content)))
    assert {key: config[key] for key in bare} == bare

    def same(there: Any, now: Any) -> bool:
        if not isinstance(there, dict):
            return type(there) is type(now) and there == now
        wanted = {key: value for key, value in there.items() if value != "auto"}
        return wanted.keys() == now.keys() and all(same(v, now[k]) for k, v in wanted.items())

    assert same(content, {key: value for key, value in config.items() if key not in bare})


@pytest.mark.parametrize(
    ("content", "asked", "said"),
    [
        ({"zero_optimization": {"stage": 3}}, {}, "'zero_optimization.stage' is 3, and zero_stage"),
        ({"bf16": {"enabled": True}}, {}, "'bf16.enabled' is true, and precision is 'fp32'"),
        ({"bfloat16": {"enabled": True}}, {}, "'bfloat16.enabled' is true, and precision"),
        (
            {"bf16": {"enabled": False}},
            {"precision": "bf16"},
            "'bf16.enabled' is false, and precision is 'bf16'",
        ),
        ({"fp16": {"enabled": True}}, {}, "'fp16.enabled' is true, and precision is 'fp32'"),
        ({"train_batch_size": 7}, {}, "'train_batch_size' is 7, and batch_size is 12"),
        (
            {"train_micro_batch_size_per_gpu": 7},
            {},
            "'train_micro_batch_size_per_gpu' is 7, and micro_batch_size is 4",
        ),
        (
            {"gradient_accumulation_steps": 7},
            {"workers": 2},
            "'gradient_accumulation_steps' is 7, and batch_size, micro_batch_size and workers come "
            "to 2",
        ),
        ({"gradient_clipping": 0.5}, {}, "'gradient_clipping' is 0.5, and gradient_clipping is 1"),
        (
            {"optimizer": {"type": "AdamW", "params": {"lr": 0.1}}},
            {},
            "'optimizer.params.lr' is 0.1, and learning_rate is 0.003",
        ),
        (
            {"zero_optimization": {"offload_optimizer": {"device": "nvme"}}},
            {"offload": "optimizer"},
            "'zero_optimization.offload_optimizer.device' is \"nvme\", and offload is 'optimizer'",
        ),
        (
            {"zero_optimization": {"offload_optimizer": None}},
            {"offload": "optimizer"},
            "'zero_optimization.offload_optimizer' is null, and offload is 'optimizer'",
        ),
    ],
)
def test_contradiction_is_refused_with_key_and_both_values(
    tmp_path: Path, content: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=r"^deepspeed: .*ds\.json: ") as caught:
        deepspeed_config(
            settings(tmp_path, tmp_path, deepspeed=given_file(tmp_path, content), **asked)
        )
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_settings_say_too_may_be_there(tmp_path: Path) -> None:
    content = {
        "train_batch_size": 12,
        "train_micro_batch_size_per_gpu": 4,
        "gradient_accumulation_steps": 3,
        "gradient_clipping": 1,
        "zero_optimization": {"stage": 2, "offload_optimizer": {"pin_memory": True}},
        "bf16": {"enabled": False},
    }
    file = given_file(tmp_path, content)
    asked = settings(tmp_path, tmp_path, deepspeed=file, zero_stage=2, offload="optimizer")
    config = deepspeed_config(asked)
    # DeepSpeed would have them divide, which an epoch's last batch need not.
    assert not {"train_batch_size", "gradient_accumulation_steps"} & config.keys()
    assert config["zero_optimization"] == {"stage": 2, "offload_optimizer": _CPU}


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"{",
        b"[1]",
        b"\xff",
        b'{"optimizer": "AdamW"}',
        b'{"optimizer": {"type": "AdamW", "params": 3}}',
        b'{"bf16": true}',
    ],
)
def test_bad_deepspeed_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ds.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PadError, match=r"deepspeed: .*ds\.json"):
        deepspeed_config(settings(tmp_path, tmp_path, deepspeed=file))


def test_directory_as_deepspeed_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PadError, match="deepspeed: "):
        deepspeed_config(settings(tmp_path, tmp_path, deepspeed=tmp_path))

"""How the tests serve, and where."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from pad_ray.decoding.settings import SearchSettings
from pad_ray.serving import ServingSettings
from pad_ray.serving.settings import DoorSettings, StudentSettings

KEY = "pad-test-key"


@dataclass(frozen=True)
class Endpoint:
    """Where it is served."""

    url: str
    port: int

    def client(self, key: str | None = KEY) -> httpx2.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=120)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def settings_for(student: Path, keys: Path | None, **changes: object) -> ServingSettings:
    """Two students of one folder, each with its own default strategy."""
    own: dict[str, Any] = {"max_new_tokens": 120}
    given: dict[str, Any] = {
        "deadline_s": 30,
        "solver": {"num_replicas": 1, "ray_actor_options": {"num_cpus": 0.5}},
        **changes,
    }
    return ServingSettings(
        students={
            "demo": StudentSettings(
                path=str(student), search=SearchSettings(strategy="stepwise", **own)
            ),
            "quick": StudentSettings(
                path=str(student), search=SearchSettings(strategy="greedy", **own)
            ),
        },
        doors=DoorSettings(keys_file=keys, max_question_chars=2000, max_body_kb=64, max_n=32),
        **given,
    )

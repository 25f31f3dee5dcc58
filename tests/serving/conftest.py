"""The real application on a real Ray, over HTTP, with a student that was taught in seconds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from endpoints import KEY, Endpoint, free_port, settings_for
from ray import serve
from small_students import Example, example

from pad_ray.serving import build
from pad_ray.serving.keys import hashed


@pytest.fixture(scope="session")
def student_folder(taught_folder: Path) -> Path:
    return taught_folder


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    rng = random.Random(99)
    return [example(rng) for _ in range(40)]


@pytest.fixture(scope="session")
def serving(local_ray: None) -> Iterator[int]:
    """Serve's own processes, with the proxy on a free port of loopback."""
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield port
    serve.shutdown()


@pytest.fixture(scope="session")
def endpoint(
    serving: int, student_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"# the tests' own\ntests:{hashed(KEY)}\n")
    application = build(settings_for(student_folder, keys))
    logs = {"encoding": "JSON"}
    serve.run(application, name="pad-ray", route_prefix="/", logging_config=logs)
    yield Endpoint(f"http://127.0.0.1:{serving}", serving)
    serve.delete("pad-ray")

"""How a training is run on Ray Train."""

from __future__ import annotations

import os
import socket

import pytest
import ray
from ray.util.state import get_actor
from ray.util.state.exception import RayStateApiException

from pad_ray.training.run import _own_cluster


@ray.remote
class Alive:
    def name(self) -> str:
        return ray.get_runtime_context().get_actor_id()


def test_no_other_cluster_is_asked_whether_a_run_is_alive(local_ray: None) -> None:
    """A Ray without a dashboard names a port where another Ray's may listen."""
    actor = Alive.remote()
    number = ray.get(actor.name.remote())
    before = dict(os.environ)
    with _own_cluster():
        host, port = os.environ["RAY_API_SERVER_ADDRESS"].removeprefix("http://").split(":")
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((host, int(port)))
        with pytest.raises(RayStateApiException):
            get_actor(number, timeout=2)
    assert dict(os.environ) == before

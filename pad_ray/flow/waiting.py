"""The setting of jobs that can wait for an autoscaler."""

from __future__ import annotations

from typing import Annotated

from pad_ray.base.config import Settings
from pad_ray.base.fields import Runtime

__all__ = ["WaitSettings"]


class WaitSettings(Settings):
    """What a job does where the cluster is too small for it."""

    wait_for_resources: Annotated[bool, Runtime] = False
    """Wait for an autoscaler to add nodes instead of failing when they are not there."""

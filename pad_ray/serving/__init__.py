"""The endpoint: verified decoding as a Ray Serve application (`pad_ray.serving:build`)."""

from pad_ray.serving.application import build
from pad_ray.serving.settings import ServingSettings

__all__ = ["ServingSettings", "build"]

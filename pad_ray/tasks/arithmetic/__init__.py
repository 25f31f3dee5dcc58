"""Arithmetic word problems: stories of one to eight steps, made up from relations and settings."""

from __future__ import annotations

from pad_ray.tasks.arithmetic.task import ARITHMETIC

__all__ = ["ARITHMETIC"]

"""Asking a student: decoding strategies over one generation engine, and the solver on top."""

from pad_ray.decoding.hypothesis import Step
from pad_ray.decoding.search import Node
from pad_ray.decoding.settings import SearchSettings, Weights, search_settings
from pad_ray.decoding.solver import Solution, Solver

__all__ = ["Node", "SearchSettings", "Solution", "Solver", "Step", "Weights", "search_settings"]

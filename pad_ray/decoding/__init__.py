"""Asking a student: decoding strategies behind one protocol, and the solver on top of them."""

from pad_ray.decoding.solver import Solution, Solver, Step
from pad_ray.decoding.strategies import STRATEGIES, Strategy, get_strategy

__all__ = ["STRATEGIES", "Solution", "Solver", "Step", "Strategy", "get_strategy"]

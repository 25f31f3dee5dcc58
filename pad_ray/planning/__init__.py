"""How long a job takes, what it needs and what it costs, reckoned from a short run of it."""

from pad_ray.planning.plan import plan
from pad_ray.planning.settings import PlanSettings

__all__ = ["PlanSettings", "plan"]

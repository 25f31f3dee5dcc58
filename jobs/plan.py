"""Estimate what a job takes before running it; see --help."""

from pad_ray.base.config import Job
from pad_ray.planning.settings import PlanSettings

JOB = Job("plan", PlanSettings, "pad_ray.planning.plan:plan")

if __name__ == "__main__":
    JOB.main()

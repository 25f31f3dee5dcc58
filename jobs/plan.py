"""Estimate what a job takes before running it; see --help."""

from pad_ray.base.config import Job
from pad_ray.pipeline.planning.settings import PlanSettings

JOB = Job("plan", PlanSettings, "pad_ray.pipeline.planning.run:plan")

if __name__ == "__main__":
    JOB.main()

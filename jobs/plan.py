"""Estimate what a job takes before running it; see --help."""

from pad_ray.config import Job
from pad_ray.planning import PlanSettings, plan

JOB = Job("plan", PlanSettings, plan)

if __name__ == "__main__":
    JOB.main()

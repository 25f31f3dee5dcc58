"""Measure students on a task's problems; see --help."""

from pad_ray.base.config import Job
from pad_ray.evaluation.settings import EvaluationSettings

JOB = Job("evaluate", EvaluationSettings, "pad_ray.evaluation.run:evaluate")

if __name__ == "__main__":
    JOB.main()

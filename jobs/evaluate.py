"""Measure students on a task's problems; see --help."""

from pad_ray.config import Job
from pad_ray.evaluation import EvaluationSettings, evaluate

JOB = Job("evaluate", EvaluationSettings, evaluate)

if __name__ == "__main__":
    JOB.main()

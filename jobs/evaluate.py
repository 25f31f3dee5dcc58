"""Measure students on a task's problems; see --help."""

from pad_ray.config import run_job
from pad_ray.evaluation import EvaluationSettings, evaluate

if __name__ == "__main__":
    run_job(EvaluationSettings, evaluate, "evaluate")

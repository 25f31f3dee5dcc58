"""Train and evaluate a grid of students, and compare them; see --help."""

from pad_ray.base.config import Job
from pad_ray.experiment_settings import ExperimentSettings

JOB = Job("experiment", ExperimentSettings, "pad_ray.experiment:run_experiment")

if __name__ == "__main__":
    JOB.main()

"""Train and evaluate a grid of students, and compare them; see --help."""

from pad_ray.base.config import Job
from pad_ray.pipeline.experiment.settings import ExperimentSettings

JOB = Job("experiment", ExperimentSettings, "pad_ray.pipeline.experiment.run:run_experiment")

if __name__ == "__main__":
    JOB.main()

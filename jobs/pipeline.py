"""Run synthesis, training, evaluation and the report; see --help."""

from pad_ray.config import Job
from pad_ray.pipeline import PipelineSettings, run_pipeline

JOB = Job("pipeline", PipelineSettings, run_pipeline)

if __name__ == "__main__":
    JOB.main()

"""Run synthesis, training, evaluation and the report; see --help."""

from pad_ray.base.config import Job
from pad_ray.pipeline.settings import PipelineSettings

JOB = Job("pipeline", PipelineSettings, "pad_ray.pipeline.run:run_pipeline")

if __name__ == "__main__":
    JOB.main()

"""Run synthesis, training, evaluation and the report; see --help."""

from pad_ray.config import run_job
from pad_ray.pipeline import PipelineSettings, run_pipeline

if __name__ == "__main__":
    run_job(PipelineSettings, run_pipeline, "pipeline")

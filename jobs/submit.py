"""Run one of the other jobs on a cluster; see --help."""

from pad_ray.base.config import Job
from pad_ray.pipeline.submission.run import SubmitSettings

JOB = Job(
    "submit",
    SubmitSettings,
    "pad_ray.pipeline.submission.run:submit",
    positional="job",
    rest="arguments",
)

if __name__ == "__main__":
    JOB.main()

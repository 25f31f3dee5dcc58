"""Write the input files of an OpenAI batch; see --help."""

from pad_ray.base.config import Job
from pad_ray.teachers.endpoint.batch_settings import BatchSettings

JOB = Job("batch", BatchSettings, "pad_ray.teachers.endpoint.batch:write_batch")

if __name__ == "__main__":
    JOB.main()

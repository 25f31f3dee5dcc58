"""Write the input files of an OpenAI batch; see --help."""

from pad_ray.config import Job
from pad_ray.teachers.batch import BatchSettings, write_batch

JOB = Job("batch", BatchSettings, write_batch)

if __name__ == "__main__":
    JOB.main()

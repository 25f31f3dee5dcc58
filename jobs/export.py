"""Write verified programs in the formats of other trainers; see --help."""

from pad_ray.base.config import Job
from pad_ray.export_settings import ExportSettings

JOB = Job("export", ExportSettings, "pad_ray.export:export_dataset")

if __name__ == "__main__":
    JOB.main()

"""Write verified programs in the formats of other trainers; see --help."""

from pad_ray.base.config import Job
from pad_ray.synthesis.export.settings import ExportSettings

JOB = Job("export", ExportSettings, "pad_ray.synthesis.export.run:export_dataset")

if __name__ == "__main__":
    JOB.main()

"""Write verified programs in the formats of other trainers; see --help."""

from pad_ray.config import Job
from pad_ray.export import ExportSettings, export_dataset

JOB = Job("export", ExportSettings, export_dataset)

if __name__ == "__main__":
    JOB.main()

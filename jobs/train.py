"""Fine-tune a student on a verified dataset; see --help."""

from pad_ray.base.config import Job
from pad_ray.training.settings import TrainingSettings

JOB = Job("train", TrainingSettings, "pad_ray.training.student:train")

if __name__ == "__main__":
    JOB.main()

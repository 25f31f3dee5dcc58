"""Fine-tune a student on a verified dataset; see --help."""

from pad_ray.config import Job
from pad_ray.training import TrainingSettings, train

JOB = Job("train", TrainingSettings, train)

if __name__ == "__main__":
    JOB.main()

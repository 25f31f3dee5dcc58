"""Fine-tune a student on a verified dataset; see --help."""

from pad_ray.config import run_job
from pad_ray.training import TrainingSettings, train

if __name__ == "__main__":
    run_job(TrainingSettings, train, "train")

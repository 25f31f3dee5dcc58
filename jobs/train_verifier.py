"""Train a verifier on executed programs; see --help."""

from pad_ray.base.config import Job
from pad_ray.training.verifier_settings import VerifierSettings

JOB = Job("train_verifier", VerifierSettings, "pad_ray.training.verifier:train_verifier")

if __name__ == "__main__":
    JOB.main()

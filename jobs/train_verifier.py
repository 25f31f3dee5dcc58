"""Train a verifier on executed programs; see --help."""

from pad_ray.config import Job
from pad_ray.verifier_training import VerifierSettings, train_verifier

JOB = Job("train_verifier", VerifierSettings, train_verifier)

if __name__ == "__main__":
    JOB.main()

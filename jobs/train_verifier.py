"""Train a verifier on executed programs; see --help."""

from pad_ray.config import run_job
from pad_ray.verifier_training import VerifierSettings, train_verifier

if __name__ == "__main__":
    run_job(VerifierSettings, train_verifier, "train_verifier")

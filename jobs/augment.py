"""Make new problems of verified ones, by other numbers, names and words; see --help."""

from pad_ray.base.config import Job
from pad_ray.synthesis.augmentation.settings import AugmentationSettings

JOB = Job("augment", AugmentationSettings, "pad_ray.synthesis.augmentation.run:augment")

if __name__ == "__main__":
    JOB.main()

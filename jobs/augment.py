"""Make new problems of verified ones, by other numbers, names and words; see --help."""

from pad_ray.augmentation.settings import AugmentationSettings
from pad_ray.base.config import Job

JOB = Job("augment", AugmentationSettings, "pad_ray.augmentation.augmenting:augment")

if __name__ == "__main__":
    JOB.main()

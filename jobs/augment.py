"""Make new problems of verified ones, by other numbers, names and words; see --help."""

from pad_ray.augmentation.augmenting import AugmentationSettings, augment
from pad_ray.config import Job

JOB = Job("augment", AugmentationSettings, augment)

if __name__ == "__main__":
    JOB.main()

"""What runs over all stages: the pipeline, experiments, rounds of repair, plans, submission."""

"""How a job runs: Ray and its resources, resumable rows, stage directories, spending, progress."""

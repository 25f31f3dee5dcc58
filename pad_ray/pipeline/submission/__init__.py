"""Running a job on a cluster by Ray's job API."""

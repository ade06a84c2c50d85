"""Which clients and which time a question names, so that the search looks nowhere else."""

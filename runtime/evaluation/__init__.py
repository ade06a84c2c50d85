"""How well a configuration does on labelled data: behind the command `eval`, and nothing else."""

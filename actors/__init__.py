"""Ray actors: thin shells around machines and services of `runtime`."""

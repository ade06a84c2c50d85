"""What the longer commands of `deployments/cli.py` do, a file each. Nobody else calls them."""

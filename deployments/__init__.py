"""Ray Serve deployments, the HTTP route, and the command line: thin shells, wired in `app.py`."""

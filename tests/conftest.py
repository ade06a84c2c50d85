"""What must be set before anything imports Ray: the environment that every node has."""

from __future__ import annotations

import os
import secrets

from deployments.ingress import set_environment

set_environment()
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

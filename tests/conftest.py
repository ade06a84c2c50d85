"""What must be set before anything imports Ray: how to sign in to a cluster of the tests.

Nothing else of a node's environment: the tests call the application as a batch job would.
"""

from __future__ import annotations

import os
import secrets

os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# A thread of a handle that outlives its test must not join whatever cluster it finds.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"

"""The secret that signs development tokens where `AI_JWT_SECRET` is unset.

Made once, on first need, and kept in the data directory for its owner alone: `up --demo` serves
with it, `token` and `ask` sign with it. Outside of the demo the secret is configured.
"""

from __future__ import annotations

import os
import secrets as random
import tempfile
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from runtime.errors import ConfigurationError
from runtime.settings import MINIMUM_HMAC_SECRET_BYTES, Secrets, Settings

FILE_NAME: Final = "demo-secret"
_SECRET_BYTES: Final = 48


def signing_secret(settings: Settings, secrets: Secrets) -> SecretStr:
    """Return what development tokens are signed with: `AI_JWT_SECRET`, or the demo's secret.

    Raises: ConfigurationError.
    """
    if "HS256" not in settings.jwt_algorithms:
        reason = "names a public-key algorithm, so only the holder of the private key makes tokens."
        remedy = "Ask it for a token, or make an API key: pazpaz-agent key create."
        raise ConfigurationError("AI_JWT_ALGORITHMS", reason, remedy)
    return secrets.jwt_secret or demo_secret(settings.data_dir)


def demo_secret(data_dir: Path) -> SecretStr:
    """Return the demo's secret; make it if there is none. Many may ask at once.

    Raises: ConfigurationError.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        text, mode = path.read_text("ascii").strip(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = f"the demo's secret cannot be kept there ({type(error).__name__})."
        remedy = "Name a directory that you may write, or set AI_JWT_SECRET."
        raise ConfigurationError("AI_DATA_DIR", reason, remedy) from None
    if mode & 0o077 or len(text) < MINIMUM_HMAC_SECRET_BYTES:
        reason = "is too short, or others may read it."
        raise ConfigurationError(str(path), reason, "Remove the file; a new one is made.")
    return SecretStr(text)


def _make(path: Path) -> None:
    """Write a whole secret under a name of its own, then give it the name unless that is taken."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, draft = tempfile.mkstemp(prefix=f"{FILE_NAME}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(random.token_urlsafe(_SECRET_BYTES))
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # somebody else was faster: that secret is the secret
    finally:
        Path(draft).unlink()

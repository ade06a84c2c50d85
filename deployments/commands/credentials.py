"""Development tokens and API keys: the commands `token` and `key`, and the token behind `ask`."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import typer

from runtime.access.credentials import MAX_SUBJECT_CHARACTERS, claimed_workspace, make_token
from runtime.access.demo_secret import signing_secret
from runtime.clock import SystemClock
from runtime.errors import ConfigurationError
from runtime.messages import SCOPES, Scope
from runtime.settings import Secrets, Settings, load
from runtime.workspaces import workspace_id_for

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_TTL_S: Final = 366 * 86_400
"""A token cannot be revoked, so none lives longer than a year."""

DEMO_WORKSPACE: Final = "demo"

ASKING_TTL_S: Final = 900
"""Longer than the longest question takes."""


def parse_ttl(text: str) -> int:
    """Return the seconds of `30s`, `15m`, `1h` or `7d`.

    Raises: typer.BadParameter.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= MAX_TTL_S:
        raise typer.BadParameter(
            "write a time such as 30s, 15m, 1h or 7d, of at most 366d.", param_hint="--ttl"
        )
    return seconds


def parse_workspace(text: str) -> UUID:
    """Return the workspace's id.

    Raises: typer.BadParameter.
    """
    if not text.strip():
        raise typer.BadParameter("name a workspace, or give its UUID.", param_hint="--workspace")
    return workspace_id_for(text)


def parse_subject(text: str) -> str:
    """Return the subject, which a token must have and a server takes up to 255 characters of.

    Raises: typer.BadParameter.
    """
    if not (text.isprintable() and 0 < len(text) <= MAX_SUBJECT_CHARACTERS):
        reason = f"write 1 to {MAX_SUBJECT_CHARACTERS} printable characters."
        raise typer.BadParameter(reason, param_hint="--subject")
    return text


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Return the scopes of a space-separated list, each once.

    Raises: typer.BadParameter.
    """
    known = {str(scope): scope for scope in SCOPES}
    names = list(dict.fromkeys(text.split()))
    if not names or any(name not in known for name in names):
        reason = f"write one or more of: {' '.join(SCOPES)}."
        raise typer.BadParameter(reason, param_hint="--scope")
    return tuple(known[name] for name in names)


def make_development_token(
    settings: Settings,
    secrets: Secrets,
    *,
    workspace: UUID,
    scopes: tuple[Scope, ...],
    subject: str,
    ttl_s: int,
) -> str:
    """Return a JWT that a server with this configuration accepts.

    Raises: ConfigurationError.
    """
    return make_token(
        signing_secret(settings, secrets),
        workspace_id=workspace,
        scopes=scopes,
        subject=subject,
        ttl_s=ttl_s,
        clock=SystemClock(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


def token_for_asking(workspace: str | None) -> str:
    """Return the credential in `AI_TOKEN`, or a token for this workspace, or for the demo's.

    Raises: ConfigurationError (`AI_TOKEN` is not of this workspace), typer.BadParameter.
    """
    named = None if workspace is None else parse_workspace(workspace)
    settings, secrets = load()
    if secrets.token is not None:
        given = secrets.token.get_secret_value()
        # The answer would come from another practice than the one that was asked about.
        if named is not None and claimed_workspace(given) != named:
            reason = f"is not known to be a credential of the workspace {workspace}."
            remedy = "It alone decides which practice is asked: unset it, or name no workspace."
            raise ConfigurationError("AI_TOKEN", reason, remedy)
        return given
    return make_development_token(
        settings,
        secrets,
        workspace=parse_workspace(DEMO_WORKSPACE) if named is None else named,
        scopes=("chat",),
        subject="cli",
        ttl_s=ASKING_TTL_S,
    )

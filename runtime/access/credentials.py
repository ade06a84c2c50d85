"""A credential to who asks: of which workspace, with which scopes.

The HTTP routes authenticate every request here, and the command line makes development tokens. No
error says any part of a credential. What a route does with a caller does not belong here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final, TypeVar
from uuid import UUID

import jwt
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from runtime.access.api_keys import KEY_PREFIX, digest_key, workspace_of
from runtime.access.signing_keys import KeySet
from runtime.errors import ConfigurationError, Forbidden, Unauthenticated
from runtime.messages import Caller, Scope
from runtime.ports import Clock, KeyStore
from runtime.settings import Settings

CLOCK_LEEWAY_S: Final = 10.0
"""How far the clock of whoever signs may be from ours."""

MAX_CREDENTIAL_CHARACTERS: Final = 8192
"""Well above any token of ours; what it costs to look at a credential is bounded by it."""

MAX_SUBJECT_CHARACTERS: Final = 255

_BEARER: Final = re.compile(r"bearer +(?P<credential>[!-~]+)", re.IGNORECASE)
_SIGNATURES: Final = jwt.PyJWS(options={"enforce_minimum_key_length": True})

T = TypeVar("T")
_Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _Claims(BaseModel):
    """A token's claims. Checked here and not by PyJWT, which takes no clock."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    exp: _Seconds
    nbf: _Seconds | None = None
    iat: _Seconds | None = None
    sub: str = Field(min_length=1, max_length=MAX_SUBJECT_CHARACTERS, pattern=r"^\P{Cc}+$")
    workspace_id: UUID
    scope: str
    iss: str | None = None
    aud: str | list[str] | None = None


class Access:
    """Checks JWTs with the one kind of key that the settings name, and API keys in their store.

    Raises: ConfigurationError where that key is not configured.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jwt_secret: SecretStr | None,
        keys: KeyStore,
        clock: Clock,
    ) -> None:
        self._algorithms = settings.jwt_algorithms
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._api_keys = keys
        self._clock = clock
        self._secret: SecretStr | None = None
        self._key_set: KeySet | None = None
        if "HS256" in settings.jwt_algorithms:
            self._secret = _configured(jwt_secret, name="AI_JWT_SECRET")
        else:
            self._key_set = KeySet(_configured(settings.jwt_jwks, name="AI_JWT_JWKS"), clock)

    async def authenticate(self, authorization: str | None) -> Caller:
        """Return who sent this `Authorization` header.

        Raises: Unauthenticated, SigningKeysUnavailable, DatabaseUnavailable, StatementTimeout.
        """
        if authorization is None:
            raise Unauthenticated(
                "No credential was sent. Send a token or an API key in the header "
                "Authorization: Bearer."
            )
        match = _BEARER.fullmatch(authorization[: MAX_CREDENTIAL_CHARACTERS + 1].strip(" "))
        if match is None or len(authorization) > MAX_CREDENTIAL_CHARACTERS:
            raise Unauthenticated(
                "The Authorization header is malformed. It must be the word Bearer, a space, and "
                "a token or an API key."
            )
        credential = match["credential"]
        if credential.startswith(KEY_PREFIX):
            return await self._check_api_key(credential)
        return await self._check_token(credential)

    async def _check_api_key(self, key: str) -> Caller:
        workspace_id = workspace_of(key)
        if workspace_id is not None:
            caller = await self._api_keys.find_key(workspace_id, digest_key(key))
            if caller is not None:
                return caller
        raise Unauthenticated("The API key is unknown or was revoked. Please use a current one.")

    async def _check_token(self, token: str) -> Caller:
        payload = await self._verify_signature(token)
        try:
            claims = _Claims.model_validate_json(payload)
        except ValidationError as error:
            location = error.errors(include_url=False, include_input=False)[0]["loc"]
            what = f"claim {location[0]}" if location else "payload"
            raise Unauthenticated(f"The token's {what} is missing or malformed.") from None
        self._check_time(claims)
        self._check_parties(claims)
        return Caller(claims.sub, claims.workspace_id, frozenset(claims.scope.split()))

    async def _verify_signature(self, token: str) -> bytes:
        """Return the payload that was signed.

        Raises: Unauthenticated, SigningKeysUnavailable.
        """
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated("The token is malformed. Please sign in again.") from None
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise Unauthenticated("The token is signed in a way that is not accepted here.")
        key = await self._find_key(header.get("kid"), algorithm)
        try:
            payload: bytes = _SIGNATURES.decode(token, key, algorithms=[algorithm])
        except (jwt.PyJWTError, ValueError):
            raise Unauthenticated("The token's signature does not hold.") from None
        return payload

    async def _find_key(self, key_id: str | None, algorithm: str) -> bytes | jwt.PyJWK:
        if self._key_set is not None:
            return await self._key_set.find(key_id, algorithm)
        assert self._secret is not None
        return self._secret.get_secret_value().encode()

    def _check_time(self, claims: _Claims) -> None:
        now_s = self._clock.now().timestamp()
        if now_s >= claims.exp + CLOCK_LEEWAY_S:
            raise Unauthenticated("The token has expired. Please sign in again.")
        if max(claims.nbf or 0, claims.iat or 0) > now_s + CLOCK_LEEWAY_S:
            raise Unauthenticated("The token is not valid yet. Please check the signer's clock.")

    def _check_parties(self, claims: _Claims) -> None:
        if self._issuer is not None and claims.iss != self._issuer:
            raise Unauthenticated("The token's issuer is not the one trusted here.")
        audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
        if self._audience is not None and self._audience not in audience:
            raise Unauthenticated("The token is meant for another audience.")


def require(caller: Caller, scope: Scope) -> None:
    """Let a caller pass who has the scope.

    Raises: Forbidden.
    """
    if scope not in caller.scopes:
        raise Forbidden(f"The credential lacks the scope {scope}. Please use one that has it.")


def make_token(
    secret: SecretStr,
    *,
    workspace_id: UUID,
    scopes: Iterable[Scope],
    subject: str,
    ttl_s: float,
    clock: Clock,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """Return a JWT signed with the shared secret, good for `ttl_s` seconds from now."""
    now_s = clock.now().timestamp()
    claims = {
        "sub": subject,
        "workspace_id": str(workspace_id),
        "scope": " ".join(scopes),
        "iat": int(now_s),
        "exp": int(now_s + ttl_s),
    }
    parties = {"iss": issuer, "aud": audience}
    claims |= {name: value for name, value in parties.items() if value is not None}
    return jwt.encode(claims, secret.get_secret_value(), algorithm="HS256")


def claimed_workspace(credential: str) -> UUID | None:
    """Return the workspace that a token or API key names, unchecked; None where it names none.

    For whoever holds the credential, to see what it is for. It proves nothing.
    """
    if credential.startswith(KEY_PREFIX):
        return workspace_of(credential)
    try:
        claims = jwt.decode(credential, options={"verify_signature": False})
        return UUID(claims["workspace_id"])
    except (jwt.PyJWTError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _configured(value: T | None, *, name: str) -> T:
    if value is None:
        reason = "is not set, but AI_JWT_ALGORITHMS needs it to check tokens."
        raise ConfigurationError(name, reason, "Set it in the environment or in .env.")
    return value

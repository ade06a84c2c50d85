"""The public keys that sign tokens: a JSON Web Key Set from a URL or a file, kept while fresh.

`credentials.py` asks for one key by its id. Symmetric keys in a set are ignored: a set is public,
so whoever read it could sign with them.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import jwt

from runtime.errors import ConfigurationError, SigningKeysUnavailable, Unauthenticated
from runtime.ports import Clock

FETCH_TIMEOUT_S: Final = 5.0
MAX_KEY_SET_BYTES: Final = 1 << 20
_KEY_TYPES: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""Source: RFC 7518, section 6.1, and RFC 8037, section 2."""


@dataclass(frozen=True, slots=True)
class _Pace:
    lifetime_s: float
    """How long a set is used before it is read again, beside the requests that use it."""
    pause_s: float
    """The least time between two readings, whatever key ids strangers make up."""


_URL_PACE: Final = _Pace(lifetime_s=300, pause_s=10)
_FILE_PACE: Final = _Pace(lifetime_s=5, pause_s=1)


@dataclass(slots=True)
class KeySet:
    """Keys by id. A file must be readable at once; a URL is first read when a token arrives.

    Raises: ConfigurationError.
    """

    source: str
    clock: Clock
    _keys: list[jwt.PyJWK] = field(default_factory=list, init=False)
    _read_at_s: float | None = field(default=None, init=False)
    _tried_at_s: float | None = field(default=None, init=False)
    _reading: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not self._is_url:
            try:
                self._keep(_parse(_read_file(Path(self.source))))
            except (OSError, ValueError):
                name = "AI_JWT_JWKS"
                reason = "names a file that is not a readable JSON Web Key Set."
                raise ConfigurationError(name, reason, "Correct the path or the file.") from None

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the key for a token's header; an unknown id has the set read again first.

        A token without an id is served where exactly one key fits its algorithm. Once read, a set
        stays in use while its source cannot be read.

        Raises: Unauthenticated, SigningKeysUnavailable.
        """
        key = self._lookup(key_id, algorithm)
        if self._reading is None and self._is_due(wanted=key is None):
            self._start_reading()
        if key is None and self._reading is not None:
            await asyncio.shield(self._reading)
            key = self._lookup(key_id, algorithm)
        if self._read_at_s is None:
            raise SigningKeysUnavailable("the key set could not be read")
        if key is None:
            raise Unauthenticated("The token was signed with a key that is not trusted here.")
        return key

    @property
    def _is_url(self) -> bool:
        return self.source.startswith(("https://", "http://"))

    def _lookup(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if key_id is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.key_id == key_id), None)

    def _is_due(self, *, wanted: bool) -> bool:
        now_s = self.clock.monotonic()
        pace = _URL_PACE if self._is_url else _FILE_PACE
        if self._tried_at_s is not None and now_s - self._tried_at_s < pace.pause_s:
            return False
        return wanted or self._read_at_s is None or now_s - self._read_at_s >= pace.lifetime_s

    def _start_reading(self) -> None:
        # A task and a context of its own: a caller who leaves must not end a reading that others
        # wait for, and Ray cancels whatever was started in the context of a cancelled request.
        self._tried_at_s = self.clock.monotonic()
        self._reading = asyncio.create_task(self._read(), context=contextvars.Context())

    async def _read(self) -> None:
        try:
            if self._is_url:
                content = await _fetch(self.source)
            else:
                content = _read_file(Path(self.source))
            self._keep(_parse(content))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError):
            pass  # the old keys stay; without any, the callers are told
        finally:
            self._reading = None

    def _keep(self, keys: list[jwt.PyJWK]) -> None:
        self._keys = keys
        self._read_at_s = self._tried_at_s = self.clock.monotonic()


async def _fetch(url: str) -> bytes:
    async with (
        asyncio.timeout(FETCH_TIMEOUT_S),
        httpx.AsyncClient(timeout=FETCH_TIMEOUT_S) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        content = b""
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_KEY_SET_BYTES:
                raise ValueError("too large")
        return content


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_KEY_SET_BYTES)


def _parse(content: bytes) -> list[jwt.PyJWK]:
    """Return the usable public keys; one that is of no use to us does not spoil the others."""
    document = json.loads(content)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a key set")  # noqa: TRY004 - one kind of error for bad content
    keys = []
    for entry in document["keys"]:
        algorithm = _algorithm_of(entry)
        if algorithm is None:
            continue
        try:
            keys.append(jwt.PyJWK(entry, algorithm))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
    return keys


def _algorithm_of(entry: object) -> str | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    for algorithm, key_type in _KEY_TYPES.items():
        if entry.get("kty") == key_type and entry.get("alg", algorithm) == algorithm:
            return algorithm
    return None

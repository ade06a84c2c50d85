import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from runtime.access.credentials import (
    CLOCK_LEEWAY_S,
    MAX_CREDENTIAL_CHARACTERS,
    Access,
    make_token,
    require,
)
from runtime.clock import ManualClock
from runtime.errors import ConfigurationError, Forbidden, Unauthenticated
from runtime.messages import Caller
from runtime.settings import Settings

SECRET = SecretStr("a secret of at least thirty-two bytes")
WORKSPACE = UUID("7a0c5f2e-2f5e-4a51-9a43-9d6a8f5c1b11")
API_KEY = f"pzk_{WORKSPACE.hex}_{'k' * 43}"


class OneKey:
    """A key store with one key; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[UUID] = []
        self.revoked = False

    async def find_key(self, workspace_id: UUID, digest: bytes) -> Caller | None:
        self.asked.append(workspace_id)
        known = hashlib.sha256(API_KEY.encode()).digest()
        if self.revoked or workspace_id != WORKSPACE or digest != known:
            return None
        return Caller("key:front-desk", WORKSPACE, frozenset({"chat"}))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> OneKey:
    return OneKey()


def open_access(
    clock: ManualClock, store: OneKey, *, issuer: str | None = None, audience: str | None = None
) -> Access:
    settings = Settings(jwt_issuer=issuer, jwt_audience=audience)
    return Access(settings, jwt_secret=SECRET, keys=store, clock=clock)


@pytest.fixture
def access(clock: ManualClock, store: OneKey) -> Access:
    return open_access(clock, store)


def claims(clock: ManualClock, **changes: object) -> dict[str, object]:
    """A good token's claims, changed; None leaves a claim out."""
    good: dict[str, object] = {
        "sub": "therapist-7",
        "workspace_id": str(WORKSPACE),
        "scope": "chat records:write",
        "exp": clock.now().timestamp() + 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(payload: dict[str, object], *, secret: str = SECRET.get_secret_value()) -> str:
    return f"Bearer {jwt.encode(payload, secret, algorithm='HS256')}"


def unsigned(header: object, payload: object = None) -> str:
    parts = [json.dumps(part).encode() for part in (header, payload or {})]
    return "Bearer " + ".".join(urlsafe_b64encode(p).decode().rstrip("=") for p in parts) + "."


async def refused(access: Access, authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await access.authenticate(authorization)
    return caught.value.reason


class TestToken:
    async def test_tells_who_asks_of_which_workspace_with_which_scopes(
        self, access: Access, clock: ManualClock
    ) -> None:
        caller = await access.authenticate(sign(claims(clock)))
        assert caller == Caller("therapist-7", WORKSPACE, frozenset({"chat", "records:write"}))

    async def test_made_for_development_is_accepted_until_it_expires(
        self, access: Access, clock: ManualClock
    ) -> None:
        token = make_token(
            SECRET,
            workspace_id=WORKSPACE,
            scopes=("chat", "ops"),
            subject="dev",
            ttl_s=90,
            clock=clock,
        )
        clock.advance(90 + CLOCK_LEEWAY_S - 1)
        caller = await access.authenticate(f"Bearer {token}")
        assert caller == Caller("dev", WORKSPACE, frozenset({"chat", "ops"}))
        clock.advance(1)
        assert "expired" in await refused(access, f"Bearer {token}")

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    async def test_of_the_future_is_refused_beyond_the_leeway(
        self, access: Access, clock: ManualClock, claim: str
    ) -> None:
        start = (clock.now() + timedelta(seconds=CLOCK_LEEWAY_S + 1)).timestamp()
        authorization = sign(claims(clock, **{claim: start}))
        assert "not valid yet" in await refused(access, authorization)
        clock.advance(1)
        assert await access.authenticate(authorization)

    @pytest.mark.parametrize("claim", ["exp", "sub", "workspace_id", "scope"])
    async def test_without_a_required_claim_is_refused_by_its_name(
        self, access: Access, clock: ManualClock, claim: str
    ) -> None:
        assert f"claim {claim}" in await refused(access, sign(claims(clock, **{claim: None})))

    @pytest.mark.parametrize(
        ("claim", "value"),
        [
            ("exp", "tomorrow"),
            ("exp", True),
            ("exp", float("inf")),
            ("exp", float("nan")),
            ("nbf", "soon"),
            ("sub", 7),
            ("sub", ""),
            ("sub", "nul\x00"),
            ("sub", "s" * 256),
            ("workspace_id", "the practice"),
            ("workspace_id", 7),
            ("scope", ["chat"]),
            ("aud", {"a": 1}),
        ],
    )
    async def test_with_a_claim_of_the_wrong_kind_is_refused(
        self, access: Access, clock: ManualClock, claim: str, value: object
    ) -> None:
        token = jwt.api_jws.encode(
            json.dumps(claims(clock, **{claim: value})).encode(), SECRET.get_secret_value()
        )
        reason = await refused(access, f"Bearer {token}")
        assert "claim" in reason or "payload" in reason

    async def test_whose_payload_is_no_object_is_refused(self, access: Access) -> None:
        token = jwt.api_jws.encode(b"[]", SECRET.get_secret_value(), algorithm="HS256")
        assert "payload" in await refused(access, f"Bearer {token}")

    async def test_signed_with_another_secret_is_refused(
        self, access: Access, clock: ManualClock
    ) -> None:
        foreign = sign(claims(clock), secret="another secret of thirty-two bytes or more")
        assert "signature" in await refused(access, foreign)

    async def test_whose_payload_was_changed_is_refused(
        self, access: Access, clock: ManualClock
    ) -> None:
        head, _, tail = sign(claims(clock)).split(".")
        other = sign(claims(clock, scope="ops")).split(".")[1]
        assert "signature" in await refused(access, f"{head}.{other}.{tail}")

    @pytest.mark.parametrize("alg", ["none", "None", "HS512", "RS256", None, 7, ["HS256"]])
    async def test_of_any_algorithm_but_the_pinned_is_refused(
        self, access: Access, clock: ManualClock, alg: object
    ) -> None:
        authorization = unsigned({"alg": alg, "typ": "JWT"}, claims(clock))
        assert "not accepted" in await refused(access, authorization)

    @pytest.mark.parametrize(
        "authorization",
        [
            unsigned([]),
            unsigned({"alg": "HS256", "kid": 7}),
            unsigned({"alg": "HS256", "crit": ["made-up"]}),
            "Bearer a.b.c",
            "Bearer .",
            "Bearer " + urlsafe_b64encode(b"[" * 5000).decode() + "..",
        ],
    )
    async def test_that_is_malformed_is_refused(self, access: Access, authorization: str) -> None:
        assert await refused(access, authorization)

    @pytest.mark.parametrize(
        ("iss", "accepted"), [("https://login.example", True), ("other", False), (None, False)]
    )
    async def test_must_come_from_the_configured_issuer(
        self, clock: ManualClock, store: OneKey, iss: str | None, *, accepted: bool
    ) -> None:
        access = open_access(clock, store, issuer="https://login.example")
        authorization = sign(claims(clock, iss=iss))
        if accepted:
            assert await access.authenticate(authorization)
        else:
            assert "issuer" in await refused(access, authorization)

    @pytest.mark.parametrize(
        ("aud", "accepted"),
        [("pazpaz", True), (["x", "pazpaz"], True), ("x", False), ([], False), (None, False)],
    )
    async def test_must_be_meant_for_the_configured_audience(
        self, clock: ManualClock, store: OneKey, aud: object, *, accepted: bool
    ) -> None:
        access = open_access(clock, store, audience="pazpaz")
        authorization = sign(claims(clock, aud=aud))
        if accepted:
            assert await access.authenticate(authorization)
        else:
            assert "audience" in await refused(access, authorization)


class TestHeader:
    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", "  Bearer "])
    async def test_scheme_may_have_any_case_and_spaces(
        self, access: Access, clock: ManualClock, scheme: str
    ) -> None:
        token = sign(claims(clock)).removeprefix("Bearer ")
        assert await access.authenticate(scheme + token + " ")

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "x"])
    async def test_of_another_form_is_refused(self, access: Access, header: str) -> None:
        assert "malformed" in await refused(access, header)

    async def test_that_is_absent_says_what_to_send(self, access: Access) -> None:
        assert "Authorization: Bearer" in await refused(access, None)

    async def test_that_is_too_long_is_refused_though_its_token_is_good(
        self, access: Access, clock: ManualClock
    ) -> None:
        long = sign(claims(clock, padding="p" * MAX_CREDENTIAL_CHARACTERS))
        assert "header is malformed" in await refused(access, long)

    @settings(deadline=None)
    @given(header=st.text() | st.text().map("Bearer {}".format))
    async def test_of_any_content_is_refused_without_repeating_it(self, header: str) -> None:
        access = open_access(ManualClock(), OneKey())
        reason = await refused(access, header)
        assert len(header) < 12 or header not in reason


class TestApiKey:
    async def test_is_looked_up_in_its_own_workspace(self, access: Access, store: OneKey) -> None:
        caller = await access.authenticate(f"Bearer {API_KEY}")
        assert caller == Caller("key:front-desk", WORKSPACE, frozenset({"chat"}))
        assert store.asked == [WORKSPACE]

    async def test_that_is_revoked_stops_at_once(self, access: Access, store: OneKey) -> None:
        await access.authenticate(f"Bearer {API_KEY}")
        store.revoked = True
        assert "revoked" in await refused(access, f"Bearer {API_KEY}")

    @pytest.mark.parametrize(
        "key",
        [
            "pzk_",
            API_KEY[:-1],
            API_KEY + "k",
            API_KEY.upper().replace("PZK", "pzk"),
            API_KEY.replace("kkk", "k.k"),
            f"pzk_{WORKSPACE}_{'k' * 43}",
        ],
    )
    async def test_that_is_malformed_never_reaches_the_database(
        self, access: Access, store: OneKey, key: str
    ) -> None:
        assert "API key" in await refused(access, f"Bearer {key}")
        assert store.asked == []


class TestPublicKey:
    async def test_in_a_file_checks_tokens_and_nothing_else_does(
        self, clock: ManualClock, store: OneKey, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        entry = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
        file = tmp_path_factory.mktemp("keys") / "jwks.json"
        file.write_text(json.dumps({"keys": [entry | {"kid": "one", "use": "sig"}]}))
        settings = Settings(jwt_algorithms=("RS256",), jwt_jwks=str(file))
        access = Access(settings, jwt_secret=SECRET, keys=store, clock=clock)

        token = jwt.encode(claims(clock), private, algorithm="RS256", headers={"kid": "one"})
        assert (await access.authenticate(f"Bearer {token}")).workspace_id == WORKSPACE

        # The classic confusion: the public key, which anyone may read, used as a shared secret.
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        body = unsigned({"alg": "HS256", "kid": "one"}, claims(clock)).rstrip(".")
        signed = hmac.digest(public, body.removeprefix("Bearer ").encode(), "sha256")
        forged = f"{body}.{urlsafe_b64encode(signed).decode().rstrip('=')}"
        assert "not accepted" in await refused(access, forged)

        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        foreign = jwt.encode(claims(clock), other, algorithm="RS256", headers={"kid": "one"})
        assert "signature" in await refused(access, f"Bearer {foreign}")


def test_without_the_key_that_the_algorithm_needs_nothing_starts(store: OneKey) -> None:
    with pytest.raises(ConfigurationError, match="AI_JWT_SECRET"):
        Access(Settings(), jwt_secret=None, keys=store, clock=ManualClock())
    settings = Settings(jwt_algorithms=("ES256",))
    with pytest.raises(ConfigurationError, match="AI_JWT_JWKS"):
        Access(settings, jwt_secret=SECRET, keys=store, clock=ManualClock())


def test_a_caller_passes_only_with_the_scope() -> None:
    caller = Caller("s", WORKSPACE, frozenset({"chat"}))
    require(caller, "chat")
    with pytest.raises(Forbidden, match="records:write"):
        require(caller, "records:write")

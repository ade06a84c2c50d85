import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from runtime.access.signing_keys import MAX_KEY_SET_BYTES, KeySet
from runtime.clock import ManualClock
from runtime.errors import ConfigurationError, SigningKeysUnavailable, Unauthenticated

URL = "https://login.example/keys"
RSA_KEY = json.loads(
    jwt.algorithms.RSAAlgorithm.to_jwk(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    )
)
EC_KEY = json.loads(
    jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
)
ED_KEY = json.loads(
    jwt.algorithms.OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key())
)
SYMMETRIC = {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "sym"}


def document(*entries: object) -> dict[str, Any]:
    return {"keys": list(entries)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class TestFromUrl:
    @pytest.mark.parametrize(
        ("entry", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256"), (ED_KEY, "EdDSA")]
    )
    async def test_finds_the_key_of_each_kind_by_its_id(
        self, clock: ManualClock, entry: dict[str, Any], algorithm: str
    ) -> None:
        with respx.mock:
            respx.get(URL).respond(json=document(SYMMETRIC, entry | {"kid": "one"}))
            key = await KeySet(URL, clock).find("one", algorithm)
        assert (key.key_id, key.algorithm_name) == ("one", algorithm)

    async def test_reads_the_set_once_while_it_is_fresh(self, clock: ManualClock) -> None:
        keys = KeySet(URL, clock)
        with respx.mock:
            route = respx.get(URL).respond(json=document(RSA_KEY | {"kid": "one"}))
            await asyncio.gather(*(keys.find("one", "RS256") for _ in range(5)))
            clock.advance(299)
            await keys.find("one", "RS256")
        assert route.call_count == 1

    async def test_serves_from_the_old_set_while_a_stale_one_is_read_again(
        self, clock: ManualClock
    ) -> None:
        keys = KeySet(URL, clock)
        with respx.mock:
            route = respx.get(URL)
            route.side_effect = [
                httpx.Response(200, json=document(RSA_KEY | {"kid": "one"})),
                httpx.Response(200, json=document(RSA_KEY | {"kid": "two"})),
            ]
            await keys.find("one", "RS256")
            clock.advance(300)
            await keys.find("one", "RS256")
            assert (await keys.find("two", "RS256")).key_id == "two"
            with pytest.raises(Unauthenticated):
                await keys.find("one", "RS256")

    async def test_reads_again_for_an_unknown_id_but_not_for_each(self, clock: ManualClock) -> None:
        keys = KeySet(URL, clock)
        with respx.mock:
            route = respx.get(URL).respond(json=document(RSA_KEY | {"kid": "one"}))
            await keys.find("one", "RS256")
            for stranger in range(50):
                clock.advance(1)
                with pytest.raises(Unauthenticated):
                    await keys.find(f"random-{stranger}", "RS256")
        assert route.call_count == 1 + 5

    async def test_a_caller_who_leaves_does_not_end_the_reading(self, clock: ManualClock) -> None:
        keys = KeySet(URL, clock)
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_: httpx.Request) -> httpx.Response:
            asked.set()
            await go_on.wait()
            return httpx.Response(200, json=document(RSA_KEY | {"kid": "one"}))

        with respx.mock:
            respx.get(URL).mock(side_effect=slow)
            first = asyncio.create_task(keys.find("one", "RS256"))
            await asked.wait()
            second = asyncio.create_task(keys.find("one", "RS256"))
            first.cancel()
            go_on.set()
            assert (await second).key_id == "one"
        assert first.cancelled()

    @pytest.mark.parametrize(
        "response",
        [
            httpx.Response(500),
            httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
            httpx.Response(200, text="not json"),
            httpx.Response(200, json=[]),
            httpx.Response(200, json={"keys": "none"}),
            httpx.Response(200, content=b'{"keys": [' + b" " * MAX_KEY_SET_BYTES + b"]}"),
            httpx.Response(200, content=b"[" * 100_000),
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("slow"),
        ],
    )
    async def test_that_cannot_be_read_is_nobodys_fault_and_asked_again_after_a_pause(
        self, clock: ManualClock, response: httpx.Response | Exception
    ) -> None:
        keys = KeySet(URL, clock)
        with respx.mock:
            route = respx.get(URL)
            route.side_effect = [
                response,
                httpx.Response(200, json=document(RSA_KEY | {"kid": "one"})),
            ]
            for _ in range(2):
                with pytest.raises(SigningKeysUnavailable):
                    await keys.find("one", "RS256")
            assert route.call_count == 1
            clock.advance(10)
            assert await keys.find("one", "RS256")

    async def test_stays_in_use_while_its_source_is_down(self, clock: ManualClock) -> None:
        keys = KeySet(URL, clock)
        with respx.mock:
            route = respx.get(URL).respond(json=document(RSA_KEY | {"kid": "one"}))
            await keys.find("one", "RS256")
            route.mock(side_effect=httpx.ConnectError("refused"))
            for _ in range(3):
                clock.advance(3000)
                assert await keys.find("one", "RS256")
                with pytest.raises(Unauthenticated):
                    await keys.find("unknown", "RS256")

    @pytest.mark.parametrize(
        "entry",
        [
            SYMMETRIC,
            RSA_KEY | {"kid": "sym", "use": "enc"},
            RSA_KEY | {"kid": "sym", "alg": "PS256"},
            {"kty": "RSA", "kid": "sym", "n": "!", "e": "AQAB"},
            "no object",
        ],
    )
    async def test_ignores_keys_that_must_not_check_a_token(
        self, clock: ManualClock, entry: object
    ) -> None:
        with respx.mock:
            respx.get(URL).respond(json=document(entry, RSA_KEY | {"kid": "good"}))
            keys = KeySet(URL, clock)
            with pytest.raises(Unauthenticated):
                await keys.find("sym", "RS256")
            assert await keys.find("good", "RS256")

    async def test_a_token_without_an_id_needs_a_single_fitting_key(
        self, clock: ManualClock
    ) -> None:
        with respx.mock:
            entries = [RSA_KEY | {"kid": "one"}, EC_KEY | {"kid": "a"}, EC_KEY | {"kid": "b"}]
            respx.get(URL).respond(json=document(*entries))
            keys = KeySet(URL, clock)
            assert (await keys.find(None, "RS256")).key_id == "one"
            with pytest.raises(Unauthenticated):
                await keys.find(None, "ES256")


class TestFromFile:
    async def test_a_replaced_file_is_noticed_within_seconds(
        self, clock: ManualClock, tmp_path: Path
    ) -> None:
        file = tmp_path / "jwks.json"
        file.write_text(json.dumps(document(RSA_KEY | {"kid": "one"})))
        keys = KeySet(str(file), clock)
        assert await keys.find("one", "RS256")
        file.write_text(json.dumps(document(RSA_KEY | {"kid": "two"})))
        clock.advance(1)
        assert await keys.find("two", "RS256")
        with pytest.raises(Unauthenticated):
            await keys.find("one", "RS256")

    @pytest.mark.parametrize("content", [None, b"not json", b"{}", b"\xff"])
    def test_an_unusable_file_stops_the_start(
        self, clock: ManualClock, tmp_path: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "jwks.json"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigurationError, match="AI_JWT_JWKS"):
            KeySet(str(file), clock)

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.errors import ConfigurationError
from runtime.messages import EmbeddingModel, Limits
from runtime.provider_settings import variables_of
from runtime.providers.catalog import PROVIDERS
from runtime.settings import (
    Secrets,
    Settings,
    export,
    find_unknown,
    load,
    load_secrets,
    require_credentials,
)

KEY = "AbC-123_xyz"
SECRET = "a-secret-of-more-than-thirty-two-bytes"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in all_variables():
        monkeypatch.delenv(name, raising=False)


def all_variables() -> set[str]:
    fields = [field for kind in (Settings, Secrets) for field in kind.model_fields.values()]
    of_providers = {name for provider in PROVIDERS.values() for name in variables_of(provider)}
    keys = {provider.key for provider in PROVIDERS.values()}
    return {str(field.alias) for field in fields} | of_providers | keys


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> ConfigurationError:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    return caught.value


def test_nothing_set_is_the_local_pair_with_the_contracts_defaults() -> None:
    settings, secrets = load()
    assert (settings.embedding_provider, settings.chat_provider) == ("local", "local")
    assert settings.embedding_dimensions == 1536
    assert settings.providers == {}
    assert settings.vector_search_timeout_s == 10
    assert settings.request_deadline_s == 90
    assert secrets.database_url is None


def test_a_cohere_key_makes_cohere_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    settings, _ = load()
    assert (settings.embedding_provider, settings.chat_provider) == ("cohere", "cohere")
    cohere = settings.providers["cohere"]
    assert (cohere.embed_model, cohere.chat_model) == ("embed-v4.0", "command-a-03-2025")
    assert (cohere.embed_timeout_seconds, cohere.chat_timeout_seconds) == (30, 60)
    assert settings.limits() == {
        "cohere_embed": Limits(inputs=2000),
        "cohere_chat": Limits(requests=500),
    }


@pytest.mark.parametrize("name", ["DATABASE_URL", "AI_DATABASE_OWNER_URL"])
@pytest.mark.parametrize("url", ["u:hid/den@host/db", "u:hidden@host:port/db", "u:hid[den@host/db"])
def test_a_url_without_a_port_where_one_stands_is_refused_and_not_shown(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(monkeypatch, **{name: f"postgresql://{url}"})
    assert error.name == name
    assert "hid" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "u@/db?host=/run/x",
        "u:p%2F@h:5432,[::1]:6,g/db",
        "h",
        "u:p:q@h/db?sslmode=require",
        "u@h:/d",
    ],
)
def test_any_form_of_a_database_url_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{url}")
    assert load()[1].database_url is not None


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(monkeypatch, AI_CACHE_SIMILARITY="9", AI_GUARD_MODE="hard", AI_POOL="x")
    assert error.name == "AI_CACHE_SIMILARITY"
    assert "AI_GUARD_MODE" in str(error)
    assert "Mend them" in error.remedy


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("AI_CACHE_SIMILARTY", "AI_CACHE_SIMILARITY"),
        ("AI_CACHE_TTL", "AI_CACHE_TTL_SECONDS"),
        ("ai_guard_mod", "AI_GUARD_MODE"),
        ("AI_COHERE_EMBED_MODEL_NAME", "AI_COHERE_EMBED_MODEL"),
        ("AI_ACME_REGISTRY_THING", None),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_a_variable_that_is_no_setting_is_told_of_with_the_nearest_that_is(
    name: str,
    nearest: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    in_file: bool,
) -> None:
    if in_file:
        (tmp_path / ".env").write_text(f"{name}=1\nOTHER=2\n", "utf-8")
    else:
        monkeypatch.setenv(name, "1")
    found = find_unknown()
    assert found[name.upper()] == nearest
    assert "OTHER" not in found


def test_no_setting_of_ours_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_unknown()
    for name in (*all_variables(), "AI_URL"):
        monkeypatch.setenv(name, "1")
    assert find_unknown() == before


def test_a_named_provider_wins_over_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("AI_EMBEDDING_PROVIDER", "local")
    settings, _ = load()
    assert (settings.embedding_provider, settings.chat_provider) == ("local", "cohere")


def test_a_env_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = "AI_REQUEST_DEADLINE_SECONDS=20\nAI_GUARD_MODE=monitor\n"
    (tmp_path / ".env").write_text(lines, "utf-8")
    monkeypatch.setenv("AI_GUARD_MODE", "off")
    settings, _ = load()
    assert settings.request_deadline_s == 20
    assert settings.guard_mode == "off"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AI_COHERE_EMBED_TIMEOUT_SECONDS", "9"),
        ("AI_COHERE_EMBED_TIMEOUT_SECONDS", "121"),
        ("AI_COHERE_CHAT_TIMEOUT_SECONDS", "19"),
        ("AI_COHERE_CHAT_TIMEOUT_SECONDS", "301"),
        ("AI_EMBEDDING_DIMENSIONS", "63"),
        ("AI_EMBEDDING_DIMENSIONS", "4001"),
        ("AI_EMBEDDING_DIMENSIONS", "many"),
        ("AI_EMBEDDING_PROVIDER", "anthropic"),
        ("AI_CHAT_PROVIDER", "nobody"),
        ("AI_CHAT_FALLBACKS", "local,nobody"),
        ("AI_EMBEDDING_FALLBACKS", "anthropic"),
        ("AI_EMBEDDING_RETIRING", "embed-v4.0"),
        ("AI_EMBEDDING_RETIRING", "anthropic:m:1536"),
        ("AI_EMBEDDING_RETIRING", "nobody:m:1536"),
        ("AI_EMBEDDING_RETIRING", "openai:m:63"),
        ("AI_EMBEDDING_RETIRING", "openai:text-embedding-ada-002:512"),
        ("AI_EMBEDDING_RETIRING", "local:another:384"),
        ("AI_EMBEDDING_RETIRING", "local:multilingual-e5-small-q4:384"),
        ("AI_RERANK_PROVIDER", "openai"),
        ("AI_RERANK_PROVIDER", "local"),
        ("AI_COHERE_RERANK_TIMEOUT_SECONDS", "0.5"),
        ("AI_CHAT_SPLIT", "local=0,cohere=10"),
        ("AI_CHAT_SPLIT", "local"),
        ("AI_OPENAI_BASE_URL", "ftp://somewhere"),
        ("AI_ANTHROPIC_CHAT_REQUESTS_PER_MINUTE", "-1"),
        ("AI_BREAKER_FAILURE_THRESHOLD", "0"),
        ("AI_GUARD_MODE", "maybe"),
        ("AI_METRICS_PORT", "0"),
        ("AI_VECTOR_SEARCH_TIMEOUT_SECONDS", "0.0004"),
        ("AI_JWT_ALGORITHMS", "none"),
        ("DATABASE_URL", "mysql://somewhere"),
        ("COHERE_API_KEY", "two words"),
        ("AI_JWT_SECRET", "short"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_a_remedy_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    error = refused(monkeypatch, **{name: value})
    assert error.name == name
    assert error.reason
    assert error.remedy
    if name in ("DATABASE_URL", "COHERE_API_KEY", "AI_JWT_SECRET"):
        assert value not in str(error)


@pytest.mark.parametrize(("written", "place"), [("~/practice", "home"), ("practice", "work")])
def test_the_data_directory_is_the_same_for_processes_that_work_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, place: str
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AI_DATA_DIR", written)
    settings, _ = load()
    assert settings.data_dir == tmp_path / place / "practice"


def test_a_chosen_provider_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(monkeypatch, AI_CHAT_PROVIDER="cohere")
    assert error.name == "COHERE_API_KEY"


def test_public_key_algorithms_need_a_key_set(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(monkeypatch, AI_JWT_ALGORITHMS="RS256, ES256")
    assert error.name == "AI_JWT_JWKS"


@pytest.mark.parametrize("algorithms", ["HS256,RS256", ","])
def test_secret_and_public_key_algorithms_are_not_mixed_and_one_is_named(
    monkeypatch: pytest.MonkeyPatch, algorithms: str
) -> None:
    error = refused(monkeypatch, AI_JWT_ALGORITHMS=algorithms)
    assert "AI_JWT_ALGORITHMS" in str(error)


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"AI_CHAT_FALLBACKS": "openai"}, "OPENAI_API_KEY"),
        ({"AI_CHAT_SPLIT": "local=9,anthropic=1"}, "ANTHROPIC_API_KEY"),
        ({"AI_RERANK_PROVIDER": "cohere"}, "COHERE_API_KEY"),
        ({"AI_CHAT_PROVIDER": "openai_compatible"}, "OPENAI_COMPATIBLE_BASE_URL"),
        ({"AI_CHAT_PROVIDER": "azure", "AZURE_OPENAI_API_KEY": KEY}, "AZURE_OPENAI_ENDPOINT"),
        (
            {
                "AI_EMBEDDING_PROVIDER": "openai_compatible",
                "OPENAI_COMPATIBLE_BASE_URL": "http://127.0.0.1:1/v1",
            },
            "AI_OPENAI_COMPATIBLE_EMBED_MODEL",
        ),
    ],
)
def test_every_provider_in_use_needs_what_it_is_called_with(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], missing: str
) -> None:
    assert refused(monkeypatch, **environment).name == missing


def test_an_embedding_fallback_must_share_the_vector_space(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "OPENAI_API_KEY": KEY,
        "AZURE_OPENAI_API_KEY": KEY,
        "AZURE_OPENAI_ENDPOINT": "https://practice.example",
        "AI_AZURE_EMBED_MODEL": "text-embedding-3-large",
        "AI_EMBEDDING_PROVIDER": "openai",
        "AI_EMBEDDING_FALLBACKS": "azure",
    }
    assert refused(monkeypatch, **given).name == "AI_EMBEDDING_FALLBACKS"
    monkeypatch.setenv("AI_AZURE_EMBED_MODEL", "text-embedding-3-small")
    settings, _ = load()
    assert settings.embedding_providers == ("openai", "azure")


def test_the_provider_of_a_retiring_model_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    retiring = "cohere:embed-english-v3.0:1024"
    given = {"AI_EMBEDDING_RETIRING": retiring, "AI_EMBEDDING_PROVIDER": "local"}
    assert refused(monkeypatch, **given).name == "COHERE_API_KEY"
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("AI_CHAT_PROVIDER", "local")
    settings, _ = load()
    assert settings.retiring_space == EmbeddingModel("cohere", "embed-english-v3.0", 1024)
    assert settings.embedding_space.key == "local:multilingual-e5-small-q4:384"
    assert settings.limits() == {"cohere_embed": Limits(inputs=2000)}


def test_no_model_retires_by_default() -> None:
    assert load()[0].retiring_space is None


def test_the_trial_and_the_fallbacks_are_read_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COHERE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("AI_CHAT_SPLIT", "cohere=90, openai=10")
    monkeypatch.setenv("AI_CHAT_FALLBACKS", "anthropic, local")
    settings, secrets = load()
    assert settings.chat_split == (("cohere", 90), ("openai", 10))
    assert settings.chat_providers == ("cohere", "anthropic", "local", "openai")
    key = secrets.key_of("openai")
    assert key is not None
    assert key.get_secret_value() == KEY


def test_limits_and_models_of_a_provider_are_set_by_its_own_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("AI_COHERE_CHAT_REQUESTS_PER_MINUTE", "7")
    settings, _ = load({"AI_COHERE_CHAT_MODEL": "command-x"})
    assert settings.limits()["cohere_chat"] == Limits(requests=7)
    assert settings.providers["cohere"].chat_model == "command-x"


def test_a_reranker_is_used_only_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    settings, _ = load()
    assert settings.rerank_provider == ""
    assert "cohere_rerank" not in settings.limits()
    monkeypatch.setenv("AI_RERANK_PROVIDER", "cohere")
    monkeypatch.setenv("AI_EMBEDDING_PROVIDER", "local")
    monkeypatch.setenv("AI_CHAT_PROVIDER", "local")
    settings, _ = load()
    cohere = settings.providers["cohere"]
    assert (cohere.rerank_model, cohere.rerank_timeout_seconds) == ("rerank-v4.0-pro", 10)
    assert settings.limits() == {"cohere_rerank": Limits(requests=1000)}


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    secrets = Secrets(AI_JWT_SECRET=SECRET)
    assert secrets.key_of("cohere") is not None
    assert SECRET not in repr(secrets) + str(secrets)
    assert KEY not in repr(secrets) + str(secrets)


def test_what_is_set_is_exported_under_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_JWT_SECRET", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert export(load_secrets()) == {"AI_JWT_SECRET": SECRET, "OPENAI_API_KEY": KEY}


def test_arguments_of_the_cluster_file_win_by_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_GUARD_MODE", "off")
    by_alias, _ = load({"AI_GUARD_MODE": "monitor"})
    by_field, _ = load({"guard_mode": "block"})
    assert (by_alias.guard_mode, by_field.guard_mode) == ("monitor", "block")


@pytest.mark.parametrize(
    ("model", "window_tokens"),
    [
        ("command-a-03-2025", 256_000),
        ("command-r-plus-08-2024", 128_000),
        ("command-a-translate-08-2025", 8192),
        ("a-model-of-tomorrow", 8192),
    ],
)
def test_a_chat_model_reads_what_is_known_of_it(
    monkeypatch: pytest.MonkeyPatch, model: str, window_tokens: int
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("AI_COHERE_CHAT_MODEL", model)
    settings, _ = load()
    assert settings.providers["cohere"].context_tokens == window_tokens


def test_the_longest_beginning_of_a_models_name_says_its_window() -> None:
    chats = {name: provider.chat for name, provider in PROVIDERS.items()}
    anthropic, openai = chats["anthropic"], chats["openai"]
    assert anthropic is not None
    assert openai is not None
    assert anthropic.window_of("claude-haiku-5-5") == 1_000_000
    assert anthropic.window_of("claude-haiku-4-5-20251001") == 200_000
    assert openai.window_of("gpt-5-chat-latest") == 128_000
    assert openai.window_of(openai.model) == 272_000
    assert openai.window_of(None) == 8192


def test_a_window_that_is_set_counts_for_whatever_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("AI_COHERE_CONTEXT_TOKENS", "16384")
    settings, _ = load()
    assert settings.providers["cohere"].context_tokens == 16_384
    error = refused(monkeypatch, AI_COHERE_CONTEXT_TOKENS="2048")
    assert error.name == "AI_COHERE_CONTEXT_TOKENS"


def test_an_argument_that_is_no_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="is no setting") as caught:
        load({"AI_GAURD_MODE": "off"})
    assert caught.value.name == "AI_GAURD_MODE"


def test_somebody_must_be_able_to_sign_in() -> None:
    settings, secrets = load()
    with pytest.raises(ConfigurationError, match="nobody could sign in"):
        require_credentials(settings, secrets)
    require_credentials(settings, Secrets(AI_JWT_SECRET=SECRET))


def test_the_document_names_every_setting_and_no_other() -> None:
    text = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")
    documented = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text))
    resolved = {"AI_PROVIDERS"}  # `load` fills it; nobody sets it
    assert documented == all_variables() - resolved


def test_an_env_file_that_cannot_be_read_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("AI_JWT_SECRET=שלום".encode("cp1255"))
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        load()
    assert caught.value.name == ".env"

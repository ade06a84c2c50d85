from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.access.demo_secret import FILE_NAME, demo_secret, signing_secret
from runtime.errors import ConfigurationError
from runtime.settings import Secrets, Settings

CONFIGURED = "c" * 48


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AI_JWT_SECRET", "AI_JWT_ALGORITHMS", "AI_JWT_JWKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AI_DATA_DIR", str(tmp_path / "data"))


def test_it_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    made = demo_secret(data_dir)
    assert demo_secret(data_dir) == made
    assert (data_dir / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in data_dir.iterdir()] == [FILE_NAME]


def test_two_data_directories_have_two_secrets(tmp_path: Path) -> None:
    assert demo_secret(tmp_path / "a") != demo_secret(tmp_path / "b")


def test_a_secret_made_meanwhile_by_another_process_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = demo_secret(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as seen just before it was made
    assert demo_secret(tmp_path) == first


def test_many_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: demo_secret(tmp_path).get_secret_value(), range(32)))
    assert len(made) == 1


@pytest.mark.parametrize(("content", "mode"), [("s" * 48, 0o644), ("short", 0o600), ("", 0o600)])
def test_a_file_that_is_no_good_secret_is_refused_by_name(
    tmp_path: Path, content: str, mode: int
) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="Remove the file") as caught:
        demo_secret(tmp_path)
    assert caught.value.name == str(path)


def test_a_directory_that_cannot_be_made_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as caught:
        demo_secret(tmp_path / "file")
    assert caught.value.name == "AI_DATA_DIR"


def test_a_configured_secret_comes_first_and_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_JWT_SECRET", CONFIGURED)
    assert signing_secret(Settings(), Secrets()).get_secret_value() == CONFIGURED
    assert not (tmp_path / "data").exists()


def test_without_one_the_demo_secret_signs(tmp_path: Path) -> None:
    assert signing_secret(Settings(), Secrets()) == demo_secret(tmp_path / "data")


def test_tokens_of_a_public_key_are_not_ours_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_JWT_ALGORITHMS", "RS256")
    with pytest.raises(ConfigurationError) as caught:
        signing_secret(Settings(), Secrets())
    assert caught.value.name == "AI_JWT_ALGORITHMS"

from __future__ import annotations

import pytest

from nixpy.doctor.masking import is_secret_name, mask_secrets, secrets_mask, shorten_home


@pytest.mark.parametrize(
    "name",
    [
        *("UV_PUBLISH_TOKEN", "PIP_PASSWORD", "AWS_SECRET_ACCESS_KEY", "UV_INDEX_X_PASSWORD"),
        *("GITHUB_TOKEN", "OPENAI_API_KEY", "MY_APIKEY", "DB_PWD", "HTTP_AUTH", "npm_config_token"),
        *("SESSION_COOKIE", "SSH_PRIVATE", "GH_PAT", "credentials"),
    ],
)
def test_a_name_that_says_credential_is_one(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["PATH", "PWD", "OLDPWD", "PYTHONPATH", "UV_INDEX_URL", "KEYBOARD", "AUTHOR", "LANG"]
)
def test_a_name_that_says_something_else_is_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://me:hunter2@example.org/simple", "https://***@example.org/simple"),
        ("https://conda.example.org/t/abc-123/main", "https://conda.example.org/t/***/main"),
        ("ghp_0123456789abcdefghij0123456789", "***"),
        ("pypi-AgEIcHlwaS5vcmcCJDEyMzQ", "***"),
        ("token=abcdef", "token=***"),
        ('"password": "abcdef"', '"password": "***"'),
        ("a plain sentence: /nix/store/x", "a plain sentence: /nix/store/x"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


def test_the_value_of_a_secret_variable_is_masked_wherever_it_stands() -> None:
    mask = secrets_mask({"MY_TOKEN": "opensesame", "A_KEY": "1", "UV_INDEX_URL": "http://x"})
    assert mask("said opensesame twice: opensesame 1") == "said *** twice: *** 1"


def test_home_is_shown_as_a_tilde_and_only_as_a_whole_name() -> None:
    assert shorten_home("/home/me/a /home/me /home/meow", "/home/me") == "~/a ~ /home/meow"
    assert shorten_home("/a", "/") == "/a"
    assert shorten_home("/a", None) == "/a"

"""User and password in addresses."""

from __future__ import annotations

import pytest

from lamina.formats.http import hide_userinfo, split_userinfo


@pytest.mark.parametrize(
    ("url", "plain", "userinfo"),
    [
        ("https://h/x.git", "https://h/x.git", ""),
        ("https://u:p@h:1/x.git#r", "https://h:1/x.git#r", "u:p"),
        ("HTTP://token@h/x", "HTTP://h/x", "token:"),
        ("https://u:a%40b%3Ac@h/x", "https://h/x", "u:a@b:c"),
        ("https://u:p@q@h/x", "https://h/x", "u:p@q"),
        ("https://h/a@b", "https://h/a@b", ""),
        ("https://h?q=a@b", "https://h?q=a@b", ""),
        ("git@h:x.git", "git@h:x.git", ""),
        ("ssh://u@h/x", "ssh://u@h/x", ""),
    ],
)
def test_they_are_split_off(url: str, plain: str, userinfo: str) -> None:
    assert split_userinfo(url) == (plain, userinfo)


def test_they_are_hidden_in_sentences() -> None:
    assert hide_userinfo("from https://u:p@h/x to http://t@i/y, not a@b") == (
        "from https://xxxxx@h/x to http://xxxxx@i/y, not a@b"
    )

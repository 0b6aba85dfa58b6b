"""The client's side of logging in, without a connection: challenges in, requests for tokens out."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lamina.credentials import Credentials
from lamina.distribution.auth import Authorization, TokenAnswer, TokenRequest, authorize
from lamina.distribution.headers import parse_challenges
from lamina.errors import Unauthorized, Unavailable

BEARER = parse_challenges('Bearer realm="https://auth.example/token",service="hub"')
BASIC = parse_challenges('Basic realm="x"')
SCOPES = ["repository:a/b:pull"]


def drive(flow: Any, *answers: TokenAnswer) -> tuple[Authorization, list[TokenRequest]]:
    """Run a flow with these answers; gives its result and what it asked."""
    asked = []
    try:
        request = next(flow)
        for answer in answers:
            asked.append(request)
            request = flow.send(answer)
    except StopIteration as done:
        return done.value, asked
    raise AssertionError("the flow asks for more")


def token(**fields: Any) -> TokenAnswer:
    return TokenAnswer(200, json.dumps({"token": "t0k3n"} | fields).encode())


def test_anonymous_clients_get_a_token_for_their_scopes() -> None:
    found, asked = drive(authorize(BEARER, None, [*SCOPES, "repository:c:pull"]), token())
    assert found.value == "Bearer t0k3n"
    query = parse_qs(urlsplit(asked[0].url).query)
    assert query == {"service": ["hub"], "scope": ["repository:a/b:pull", "repository:c:pull"]}
    assert asked[0].headers == {}


def test_passwords_go_to_the_token_server_as_basic() -> None:
    _, asked = drive(authorize(BEARER, Credentials("me", "secret"), SCOPES), token())
    assert asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert parse_qs(urlsplit(asked[0].url).query)["account"] == ["me"]


def test_identity_tokens_are_refreshed_by_post() -> None:
    answer = TokenAnswer(200, b'{"access_token": "new", "refresh_token": "next"}')
    found, asked = drive(authorize(BEARER, Credentials(identity_token="id"), SCOPES), answer)
    assert found.value == "Bearer new"
    assert found.refresh_token == "next"
    assert asked[0].form is not None
    assert asked[0].form["grant_type"] == "refresh_token"
    assert asked[0].form["scope"] == SCOPES[0]


def test_registry_tokens_and_basic_need_no_request() -> None:
    assert drive(authorize(BEARER, Credentials(registry_token="r"), SCOPES))[0].value == "Bearer r"
    assert drive(authorize(BASIC, Credentials("a", "b"), SCOPES))[0].value.startswith("Basic ")


def test_tokens_end_in_time() -> None:
    found, _ = drive(authorize(BEARER, None, SCOPES), token(expires_in=300, issued_at="not a time"))
    assert found.fresh()
    assert not found.fresh(found.expires + 1)


@pytest.mark.parametrize(
    ("challenges", "answers", "error"),
    [
        (BASIC, [], Unauthorized),
        (parse_challenges("Negotiate"), [], Unauthorized),
        ([], [], Unauthorized),
        (parse_challenges('Bearer realm="file:///etc/passwd"'), [], Unauthorized),
        (BEARER, [TokenAnswer(401)], Unauthorized),
        (BEARER, [TokenAnswer(500)], Unavailable),
        (BEARER, [TokenAnswer(200, b"not json")], Unavailable),
        (BEARER, [TokenAnswer(200, b"[]")], Unavailable),
        (BEARER, [TokenAnswer(200, b'{"token": ""}')], Unavailable),
        (BEARER, [TokenAnswer(200, b'{"token": "a\\r\\nX-Evil: 1"}')], Unavailable),
    ],
)
def test_trouble_is_told_apart(challenges: Any, answers: list[TokenAnswer], error: type[Exception]) -> None:
    with pytest.raises(error):
        drive(authorize(challenges, None, SCOPES), *answers)


def test_secrets_are_never_shown() -> None:
    shown = repr(Credentials("me", "s3cret", "s3cret", "s3cret")) + repr(Authorization("s3cret", 1, "s3cret"))
    flow = authorize(BEARER, Credentials("me", "s3cret"), SCOPES)
    shown += repr(next(flow))
    with pytest.raises(Unauthorized) as caught:
        flow.send(TokenAnswer(401, b"s3cret"))
    assert "s3cret" not in shown + str(caught.value) + repr(caught.value.facts)

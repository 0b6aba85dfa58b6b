"""The client's settings: endpoints, proxies, credentials; and what answers of registries mean."""

from __future__ import annotations

import socket

import pytest

from lamina.distribution.answer_errors import failure, without_secrets
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.settings import Proxies, Retry, Settings, endpoints
from lamina.errors import Forbidden, InvalidInput, NotFound, RateLimited, TooLarge, Unauthorized, Unavailable
from lamina.formats.reference import Reference


def test_endpoints_of_hub_mirrors_and_insecure_registries() -> None:
    settings = Settings(mirrors={"docker.io": ("https://mirror.example/hub/",), "*": ("http://any.example",)})
    bases = [endpoint.base for endpoint in endpoints("docker.io", settings, for_pull=True)]
    assert bases == ["https://mirror.example/hub", "http://any.example", "https://registry-1.docker.io"]
    assert [e.base for e in endpoints("docker.io", settings, for_pull=False)] == ["https://registry-1.docker.io"]
    local = [e.base for e in endpoints("localhost:5000", Settings(), for_pull=True)]
    assert local == ["https://localhost:5000", "http://localhost:5000"]


@pytest.mark.parametrize(
    ("domain", "insecure"),
    [
        ("localhost", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("10.1.2.3:5000", True),
        ("11.1.2.3", False),
        ("plain.example:80", True),
        ("plain.example:81", False),
        ("whole.example:81", True),
    ],
)
def test_insecure_registries(domain: str, insecure: bool) -> None:
    settings = Settings(insecure=("10.0.0.0/8", "plain.example:80", "whole.example"))
    assert settings.is_insecure(domain) is insecure


def test_proxies_follow_the_usual_variables() -> None:
    variables = {"HTTPS_PROXY": "http://p:1", "http_proxy": "q:2", "NO_PROXY": ".inner.example, 10.0.0.0/8,host:81"}
    proxies = Proxies.from_environment(variables)
    assert proxies.for_url("https", "registry.example", None) == "http://p:1"
    assert proxies.for_url("http", "registry.example", None) == "http://q:2"
    assert proxies.for_url("https", "a.inner.example", None) is None
    assert proxies.for_url("https", "10.9.9.9", 443) is None
    assert proxies.for_url("https", "host", 81) is None
    assert proxies.for_url("https", "host", 82) == "http://p:1"
    assert proxies.for_url("https", "localhost", 82) is None
    assert "p:1" not in repr(proxies)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (413, TooLarge),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
        (418, InvalidInput),
    ],
)
def test_answers_have_kinds_codes_and_no_secrets(status: int, kind: type[Exception]) -> None:
    body = b'{"errors": [{"code": "SOME_CODE", "message": "a\\u0000 message"}]}'
    url = "https://user:pw@registry.example/v2/a?signature=s3cret"
    error = failure("GET", url, status, {"Retry-After": "9"}, body)
    assert type(error) is kind
    assert error.facts["code"] == "SOME_CODE"
    assert "SOME_CODE: a message" in error.message
    assert "s3cret" not in str(error)
    assert "pw" not in str(error)
    assert error.facts["url"] == without_secrets(url) == "https://registry.example/v2/a"
    if kind is RateLimited:
        assert error.facts["retry_after"] == 9


def test_who_never_answered_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    pauses: list[float] = []
    with RegistryClient(Settings(retry=Retry(sleep=lambda token, seconds: pauses.append(seconds)))) as client:
        with pytest.raises(Unavailable, match="cannot be reached"):
            client.repository(Reference.parse(f"{address}/a")).manifest("1")
    assert len(pauses) == 1

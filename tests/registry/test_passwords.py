"""What an answer gives away of the users: neither its time nor its words tell whether there is one of that name."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import bcrypt
import pytest

from lamina.errors import InvalidInput
from lamina.registry.auth.htpasswd import Htpasswd
from support.registries import Raw, Start

COSTS = {"cheap": 5, "usual": 8, "dear": 10}


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    lines = [f"{user}:{bcrypt.hashpw(b'right', bcrypt.gensalt(cost)).decode()}\n" for user, cost in COSTS.items()]
    (tmp_path / "htpasswd").write_text("".join(lines))
    return tmp_path / "htpasswd"


def test_wrong_passwords_cost_the_same_work_for_every_name(htpasswd: Path) -> None:
    users = Htpasswd(htpasswd)

    def work(user: str) -> float:
        """CPU seconds of a check that fails: the least of some, for others use the machine as well."""
        spent = []
        for number in range(5):
            began = time.process_time()
            assert not asyncio.run(users.check(user, f"wrong{number}"))
            spent.append(time.process_time() - began)
        return min(spent)

    seconds = {user: work(user) for user in (*COSTS, "nobody", "")}
    assert max(seconds.values()) < 1.5 * min(seconds.values()), seconds


def test_right_passwords_are_good_at_every_cost(htpasswd: Path) -> None:
    users = Htpasswd(htpasswd)
    for user in COSTS:
        assert asyncio.run(users.check(user, "right"))
        assert asyncio.run(users.check(user, "right"))
    assert not asyncio.run(users.check("nobody", "right"))


@pytest.mark.parametrize("mode", ["basic", "token"])
def test_answers_to_unknown_names_and_to_wrong_passwords_are_the_same(start: Start, htpasswd: Path, mode: str) -> None:
    path = "/token?scope=repository:a:pull" if mode == "token" else "/v2/"
    with closing(Raw(start(auth={"htpasswd": str(htpasswd), "mode": mode}).address)) as raw:
        answers = []
        for user in ("usual", "nobody"):
            answer = raw("GET", path, Authorization="Basic " + b64encode(f"{user}:wrong".encode()).decode())
            answer.headers.pop("Date")
            answers.append(answer)
    assert answers[0] == answers[1]
    assert answers[0].status == 401


@pytest.mark.parametrize("entry", ["ann:plain", "ann:$2y$99$" + "a" * 53, "ann:$2y$10$short", "ann:$apr1$x$y", ":x"])
def test_entries_that_are_no_hashes_are_named_by_their_line(tmp_path: Path, entry: str) -> None:
    (tmp_path / "htpasswd").write_text(f"# users\n{entry}\n")
    with pytest.raises(InvalidInput, match="line 2: not a bcrypt entry"):
        Htpasswd(tmp_path / "htpasswd")

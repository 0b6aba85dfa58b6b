"""Every endpoint is fuzzed, or has a reason why it is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from daemon.fuzzing import ENDPOINTS, NOT_FUZZED

ROUTES = Path(__file__).parents[2] / "src" / "lamina" / "daemon" / "routes"
SWARM = ROUTES / "swarm.py"  # all refused


def endpoints(code: str) -> Iterator[str]:
    """Yield "METHOD /path" of each `Route` that names both, with `{}` for the variable parts of the path."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Route":
            words = [word.value for word in node.args[:2] if isinstance(word, ast.Constant)]
            match words:
                case [str(method), str(path)]:
                    yield f"{method} {re.sub(r'{[^}]+}', '{}', path)}"


def test_every_endpoint_is_fuzzed_or_has_a_reason() -> None:
    served = {endpoint for file in ROUTES.glob("*.py") if file != SWARM for endpoint in endpoints(file.read_text())}
    fuzzed = {f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS}
    assert len(served) > 60
    assert not fuzzed & NOT_FUZZED.keys()
    assert served == fuzzed | NOT_FUZZED.keys()


def test_paths_lose_the_names_of_their_parts() -> None:
    code = 'Route("GET", "/images/{name*}/json", self.inspect)\nRoute(method, "/x", self.x)'
    assert list(endpoints(code)) == ["GET /images/{}/json"]

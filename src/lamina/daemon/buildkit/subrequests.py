"""What a client asks a frontend for instead of an image: checks, targets, an outline, and which requests there are.

Rule: moby/buildkit, frontend/subrequests and frontend/dockerui/requests.go. The answer is metadata of a result that has
no files: JSON, text for people, and the version of the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lamina.api.build_call_text import result_text, table
from lamina.api.build_calls import CheckResult
from lamina.daemon.buildkit.frontend import Client, Source, request_of
from lamina.daemon.buildkit.solver import Solver
from lamina.errors import Unsupported

REQUEST_ID = "requestid"
_VERSION = "1.0.0"
_PREFIX = "frontend."
_DESCRIBE = "frontend.subrequests.describe"
_CALLS = {"frontend.lint": "check", "frontend.targets": "targets", "frontend.outline": "outline"}
_DESCRIPTIONS = {
    "frontend.outline": "List the arguments, secrets and ssh agents that a target takes",
    "frontend.targets": "List the targets of a Dockerfile",
    "frontend.lint": "Check a Dockerfile",
    _DESCRIBE: "List these requests",
}
_METADATA = {"result.json": "The answer as JSON", "result.txt": "The answer as text for people"}


def answer(solver: Solver, client: Client, attributes: Mapping[str, str]) -> dict[str, bytes]:
    """Return the metadata that answers the request in a frontend's attributes.

    Raise Unsupported for a request that is not known, and what `Client.definition` and `Builds.answer` raise.
    """
    id = attributes[REQUEST_ID]
    if id == _DESCRIBE:
        return _described()
    call = _CALLS.get(id)
    if call is None:
        raise Unsupported(f"unsupported request {id}", subrequest=id)
    request = msgspec.structs.replace(request_of(attributes), call=call)
    with client.definition(Source.of(attributes), solver.builds) as context:
        result = solver.builds.answer(
            context, request, credentials=client.credentials, cancellation=client.cancellation
        )
    metadata = _metadata(msgspec.json.encode(result), result_text(result))
    if isinstance(result, CheckResult):
        metadata["result.statuscode"] = b"0" if result.is_clean else b"1"
    return metadata


def _metadata(document: bytes, text: str) -> dict[str, bytes]:
    return {
        "result.json": msgspec.json.format(document, indent=2),
        "result.txt": text.encode("utf-8", "surrogateescape"),
        "version": _VERSION.encode(),
    }


def _described() -> dict[str, bytes]:
    metadata = [{"name": name, "description": text} for name, text in _METADATA.items()]
    requests = [
        {"name": id, "version": _VERSION, "type": "rpc", "description": text, "metadata": metadata}
        for id, text in _DESCRIPTIONS.items()
    ]
    rows = [(id.removeprefix(_PREFIX), _VERSION, text) for id, text in _DESCRIPTIONS.items()]
    return _metadata(msgspec.json.encode(requests), table([("NAME", "VERSION", "DESCRIPTION"), *rows], gap=1))

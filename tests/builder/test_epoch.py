"""SOURCE_DATE_EPOCH: from the request, from an ARG, or from the commit that a context is of."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.context.source import from_directory
from lamina.layers.tree import walk
from support.workshop import FILES, Workshop, tree

TEXT = "FROM scratch\nCOPY a.txt dir /\n"
COMMIT = 1500000000


@pytest.mark.parametrize(
    ("dockerfile", "given", "created"),
    [
        (TEXT, "1400000000", "2014-05-13T16:53:20Z"),
        (TEXT, "context", "2017-07-14T02:40:00Z"),
        (f"ARG SOURCE_DATE_EPOCH=1300000000\n{TEXT}", None, "2011-03-13T07:06:40Z"),
        (f"ARG SOURCE_DATE_EPOCH=1300000000\n{TEXT}", "1400000000", "2014-05-13T16:53:20Z"),
        (f"ARG SOURCE_DATE_EPOCH=context\n{TEXT}", None, "2017-07-14T02:40:00Z"),
    ],
)
def test_where_the_time_comes_from(workshop: Workshop, dockerfile: str, given: str | None, created: str) -> None:
    context = replace(from_directory(workshop.context(dockerfile, FILES)), epoch=COMMIT)
    arguments = {} if given is None else {"SOURCE_DATE_EPOCH": given}
    result = workshop.run(context, BuildRequest(build_args=dict(arguments)))
    assert result.image.config.created == created
    assert {step.created for step in result.image.config.history} == {created}
    assert result.epoch is not None
    assert all(node.entry.mtime_ns <= result.epoch * 10**9 for node in walk(tree(result.image)))


def test_a_context_that_is_of_no_commit_has_no_time(workshop: Workshop) -> None:
    folder = workshop.context(TEXT, FILES)
    plain = workshop.run(from_directory(folder))
    asked = workshop.run(from_directory(folder), BuildRequest(build_args={"SOURCE_DATE_EPOCH": "context"}))
    assert (asked.epoch, asked.image.id) == (None, plain.image.id)


def test_earlier_files_keep_their_times(workshop: Workshop) -> None:
    folder = workshop.context(TEXT, FILES)
    os.utime(folder / "a.txt", (1000, 1000))
    request = BuildRequest(build_args={"SOURCE_DATE_EPOCH": "1400000000"}, no_cache=True)
    image = workshop.run(from_directory(folder), request).image
    times = {node.path: node.entry.mtime_ns // 10**9 for node in walk(tree(image))}
    assert (times["a.txt"], times["one"]) == (1000, 1400000000)

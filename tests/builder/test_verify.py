"""`--verify`: a build that gives something else each time fails, and the file is named."""

from __future__ import annotations

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import BuildResult
from lamina.builder.context.source import from_directory
from lamina.builder.verify import build_as_asked
from lamina.errors import CommandFailed
from support.context import File
from support.workshop import FILES, Workshop

EPOCH: dict[str, str | None] = {"SOURCE_DATE_EPOCH": "86400"}


def verified(shop: Workshop, text: str, arguments: dict[str, str | None] | None = None) -> BuildResult:
    request = BuildRequest(tags=("checked",), build_args=arguments or {}, network="none", verify=True)
    files: dict[str, File | str] = {} if (shop.folder / "context").exists() else FILES
    with from_directory(shop.context(text, files)) as context:
        return build_as_asked(context, request, shop.rooms)


def test_what_is_the_same_each_time_is_built_and_named(shop: Workshop) -> None:
    image = verified(shop, "FROM base\nCOPY dir /d\nRUN echo same > /x\n", EPOCH).image
    assert shop.images.get("checked").id == image.id
    assert verified(shop, "FROM scratch\nCOPY dir /d\n").steps[1].outcome == "cached"


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("cat /proc/sys/kernel/random/uuid > /dir/f", "other content: sha256:"),
        ("echo > /dir/f; touch -d @$(od -An -N2 -tu2 /dev/urandom | tr -d ' ') /dir/f", "another time: 1970"),
        ("mkdir /new && touch /new/$(cat /proc/sys/kernel/random/uuid)", "in one of two builds only"),
    ],
)
def test_the_first_file_that_differs_is_named_with_its_step(shop: Workshop, command: str, how: str) -> None:
    text = f"FROM base\nCOPY dir /dir\nRUN echo same > /same\nRUN {command}\nRUN true\n"
    with pytest.raises(CommandFailed, match=f"the build is not reproducible: line 4: RUN .*{how}") as raised:
        verified(shop, text, EPOCH)
    assert raised.value.facts["step"] == f"RUN {command}"
    assert str(raised.value.facts["path"]).startswith(("/dir/f", "/new/"))
    assert shop.images.find("checked") is None

"""An engine and a client are one thing to a program: the same rooms, verbs, signatures and results."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina import types
from lamina.client.builds import Builds as ClientBuilds
from lamina.client.client import Client
from lamina.client.containers import Containers as ClientContainers
from lamina.client.explorer import Explorer as ClientExplorer
from lamina.client.images import Images as ClientImages
from lamina.client.registries import Registries as ClientRegistries
from lamina.client.resources import Networks as ClientNetworks
from lamina.client.resources import Volumes as ClientVolumes
from lamina.containers.containers import Containers
from lamina.engine import Engine
from lamina.engine.builds import Builds
from lamina.engine.registries import Registries
from lamina.explorer.explorer import Explorer
from lamina.images.images import Images
from lamina.network.networks import Networks
from lamina.volumes.volumes import Volumes

ROOMS: list[tuple[type, type, type]] = [
    (types.Images, Images, ClientImages),
    (types.Explorer, Explorer, ClientExplorer),
    (types.Containers, Containers, ClientContainers),
    (types.Networks, Networks, ClientNetworks),
    (types.Volumes, Volumes, ClientVolumes),
    (types.Builds, Builds, ClientBuilds),
    (types.Registries, Registries, ClientRegistries),
]
# What the command line needs beside the library's verbs: requests and bytes just as they travel.
WIRE: dict[type, set[str]] = {
    ClientContainers: {"archive", "create_request", "exec_request", "log_pieces"},
    ClientBuilds: {"send", "answer"},
}


def engine_is_a_library(engine: Engine) -> types.Library:
    """The type checker reads this: an engine has the verbs, and its values are the results."""
    return engine


def client_is_a_library(client: Client) -> types.Library:
    """The type checker reads this as well."""
    return client


def shape(verb: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(verb).parameters.values()]


WHOLE: tuple[type, type, type] = (types.Library, Engine, Client)


@pytest.mark.parametrize(
    ("room", "engine_side", "client_side"), [WHOLE, *ROOMS], ids=[room.__name__ for room, *_ in (WHOLE, *ROOMS)]
)
def test_every_verb_has_one_signature(room: type, engine_side: type, client_side: type) -> None:
    for name, verb in vars(room).items():
        if inspect.isfunction(verb) and not name.startswith("_"):
            for side in (engine_side, client_side):
                assert getattr(side, name) is not verb, f"{side.__module__}.{name} is promised and not there"
                assert shape(getattr(side, name)) == shape(verb), f"{side.__module__}.{name}"


@pytest.mark.parametrize(("room", "engine_side", "client_side"), ROOMS, ids=[room.__name__ for room, *_ in ROOMS])
def test_a_client_has_no_verb_of_its_own(room: type, engine_side: type, client_side: type) -> None:
    verbs = {name for name, verb in inspect.getmembers(client_side, inspect.isfunction) if not name.startswith("_")}
    promised = {name for name in vars(room) if not name.startswith("_")}
    assert verbs - promised == WIRE.get(client_side, set())


@pytest.mark.parametrize(("room", "engine_side", "client_side"), ROOMS, ids=[room.__name__ for room, *_ in ROOMS])
def test_every_verb_is_explained_on_both_sides(room: type, engine_side: type, client_side: type) -> None:
    """`help` shows the texts of the protocols, which both sides inherit."""
    assert "\n    " in (room.__doc__ or ""), f"{room} shows no example"
    for side in (engine_side, client_side):
        for name, verb in inspect.getmembers(side, inspect.isfunction):
            assert name.startswith("_") or inspect.getdoc(verb), f"{side.__module__}.{name}"


def test_the_page_for_programs_lists_every_verb() -> None:
    page = Path(__file__).parents[2] / "docs" / "library.md"
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ((?:`\w+` ?)+) \|$", page.read_text(), re.MULTILINE)
    listed = {room: set(re.findall(r"\w+", verbs)) for rooms, verbs in rows for room in re.findall(r"\w+", rooms)}
    assert listed == {
        room.__name__.lower(): {name for name, _ in inspect.getmembers(room, inspect.isfunction) if name[0] != "_"}
        for room, *_ in ROOMS
    }


def test_no_verb_hides_its_options() -> None:
    for _, *sides in ROOMS:
        for side in sides:
            for name, verb in inspect.getmembers(side, inspect.isfunction):
                kinds = {p.kind for p in inspect.signature(verb).parameters.values()}
                hidden = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL} & kinds
                assert name.startswith("_") or not hidden, f"{side.__module__}.{name}"

"""A kernel without nftables tables: what needs them is refused in a sentence, and the rest works."""

from __future__ import annotations

import pytest

from .conftest import Engine

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]


def test_a_bridge_network_is_refused(engine: Engine) -> None:
    done = engine("network", "create", "bridged", check=False)
    assert done.status != 0
    assert "this kernel has no nftables tables of the family inet" in done.output
    assert engine.text("network", "ls", "--format", "{{.Name}}").split() == ["host", "none"]


def test_a_container_that_would_have_no_names_is_refused(engine: Engine) -> None:
    engine("network", "create", "-d", "macvlan", "beside")
    done = engine("run", "--rm", "--network", "beside", "base", "true", check=False)
    assert done.status == 125
    assert "this kernel has no nftables tables of the family ip," in done.output
    engine("network", "rm", "beside")


def test_a_container_of_the_hosts_network_runs(engine: Engine) -> None:
    assert engine.text("run", "--rm", "--network", "host", "base", "hostname") == "machine"

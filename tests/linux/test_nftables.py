"""Transactions of nftables by netlink, read back by the program `nft`."""

from __future__ import annotations

import socket
import subprocess

import pytest

from lamina.linux import nftables
from support.programs import need

pytestmark = pytest.mark.root


def listed() -> str:
    return subprocess.run([need("nft"), "list", "ruleset"], check=True, capture_output=True, text=True).stdout


def test_a_transaction_is_what_nft_would_have_made(machine: None) -> None:
    matched = [
        *nftables.network_bytes_are(16, bytes([127, 0, 0, 11])),
        *nftables.protocol_is(socket.IPPROTO_UDP),
        *nftables.transport_bytes_are(2, (53).to_bytes(2, "big")),
    ]
    written = nftables.set_transport_bytes(2, (6).to_bytes(2, "big"), 6)
    rules = [
        nftables.table("t"),
        nftables.chain("t", "c", nftables.OUTPUT, -300),
        nftables.rule("t", "c", [*matched, *written]),
    ]
    nftables.commit(rules)
    assert "\n".join(line.strip() for line in listed().splitlines() if line.strip()) == (
        "table ip t {\n"
        "chain c {\n"
        "type filter hook output priority raw; policy accept;\n"
        "ip daddr 127.0.0.11 udp dport 53 udp dport set 6\n"
        "}\n"
        "}"
    )
    before = listed()
    with pytest.raises(FileExistsError):
        nftables.commit(rules)
    with pytest.raises(FileNotFoundError):
        nftables.commit([nftables.no_table("t"), nftables.no_table("other")])
    assert listed() == before, "all of a transaction is done, or nothing"
    nftables.commit([nftables.table("t", exclusive=False), nftables.no_table("t"), *rules])
    assert listed() == before
    nftables.commit([nftables.no_table("t")])
    assert listed() == ""

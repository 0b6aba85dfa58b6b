"""What nft answers: one sentence of it, whatever it says after that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lamina.errors import Internal, Unsupported
from lamina.network.nft import LibraryNft, Nft, ProgramNft, refusal
from support.programs import need


@pytest.mark.root
@pytest.mark.parametrize("open_nft", [LibraryNft, lambda: ProgramNft(need("nft"))])
def test_only_the_first_complaint_is_told(open_nft: Callable[[], Nft]) -> None:
    nft = open_nft()
    with pytest.raises(Internal) as caught:
        nft.run("delete table inet lamina-nosuch\n" * 30)
    nft.close()
    assert str(caught.value).count("Error") == 1


def test_a_kernel_without_such_tables_is_told_as_what_it_is() -> None:
    """The words are those of nft 1.0.6 on a kernel without CONFIG_NF_TABLES_INET; tests/machine has such a kernel."""
    words = (
        "Error: Could not process rule: Operation not supported\nadd table inet x\n^^^^^^^^^^^^^^^^\n"
        "Error: No such file or directory; did you mean table 'x' in family inet?\nadd chain inet x y\n"
    )
    assert isinstance(refusal(words, "add table inet x"), Unsupported)

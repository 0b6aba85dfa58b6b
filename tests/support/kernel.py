"""What tests leave out on a machine whose kernel lacks it."""

from __future__ import annotations

import os

# "none" where the kernel has no nftables tables of the family inet, as that of tests/machine: no engine of a test makes
# a default bridge then.
DEFAULT_BRIDGE = os.environ.get("LAMINA_TEST_BRIDGE", "")

"""Parameters of tests."""

import pytest

BOTH = pytest.mark.parametrize("namespace", [True, False], ids=["pid1", "not-pid1"])

"""What tests need to know where others keep the same cores busy."""

import pytest

# Tests that kill nodes depend on timeouts of Ray's that a machine may miss by standing still. They
# get one more try, and the summary tells of it.
AGAIN_IF_BUSY = pytest.mark.flaky(reruns=1)

"""One thread for torch in all tests: two of them beside any busy process are far slower than one."""

import os
import signal
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell does so for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the commands under test would inherit


@pytest.fixture(autouse=True, scope="session")
def own_fields(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither read nor write the user's distance fields."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffplan.field_files.cache_folder", lambda: folder)
        yield


@pytest.fixture(params=["float32", "bfloat16"], scope="module")
def products(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests in both types of matrix products, whichever this processor would choose by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFPLAN_PRODUCTS", request.param)
        yield request.param

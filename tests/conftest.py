"""One thread for torch in all tests: two of them beside any busy process are far slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

"""Jobs for tests of `run_jobs`: what happens is in the job's words."""

import os
import signal
import time
from pathlib import Path

from diffplan.errors import InputError
from diffplan.system.executor import THREAD_VARIABLES


def start(folder):
    def work(job):
        yield 1
        if job == "dies":
            os._exit(3)
        if job == "dies once" and not (Path(folder) / "died").exists():
            (Path(folder) / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "hangs":
            time.sleep(600)
        if job == "refuses":
            raise InputError("not so", key="job", value=lambda: None, allowed="others")
        if job == "breaks":
            raise ValueError("a fault")
        yield 2
        yield f"{job}: threads {','.join(os.environ.get(name, '-') for name in THREAD_VARIABLES)}"

    return work


def refuse():
    raise InputError("no such robot")


def die():
    os._exit(4)

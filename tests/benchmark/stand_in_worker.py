"""A worker without planners, for tests of the pool: what happens is in the problem's id."""

import os
import time

from diffplan.benchmark.worker import plan_path


def work(connection, settings):
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(0.25)
        if "dies" in job.problem:
            os._exit(3)
        if "hangs" in job.problem:
            time.sleep(60)
        path = plan_path(settings.folder, planner=job.planner, problem=job.problem, seed=job.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        connection.send(job.row("solved", f"by process {os.getpid()}"))

import subprocess
import sys

_SIGNALLED = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Signalling(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "trimesh.path":  # imported where trimesh catches every exception
            print("signalled", flush=True)
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Signalling())
from diffplan.system.stopping import stoppable
try:
    with stoppable():
        import diffplan.geometry.meshes
except KeyboardInterrupt as error:
    print(type(error).__name__)
"""


def test_a_signal_while_trimesh_is_imported_is_not_lost():
    for signal, raised in (("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Stopped")):
        code = _SIGNALLED.format(signal=signal)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout.split() == ["signalled", raised], done.stderr


def test_importing_trimesh_starts_no_process():
    code = (
        "from multiprocessing.resource_tracker import _resource_tracker as tracker; import diffplan.geometry.meshes; "
        "assert tracker._fd is None"
    )
    subprocess.run([sys.executable, "-c", code], timeout=120, check=True)

"""The studio's web server: one view, with a planning process of its own, for each browser."""

from __future__ import annotations

import atexit
import threading
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from diffplan import arguments
from diffplan.errors import DiffplanError
from diffplan.request import read_robot, read_scene

if TYPE_CHECKING:
    from viser import ClientHandle

    from diffplan.problem import Plan
    from diffplan.robot.model import Robot
    from diffplan.scene import Scene
    from diffplan.studio.opening import Opening
    from diffplan.studio.view import View

HOST, PORT = "127.0.0.1", 8080
NEEDED = "the studio needs viser and plotly: pip install 'diffplan[studio]'"


def studio_packages() -> ModuleType:
    """Return viser.

    Raises:
        DiffplanError: if what the studio needs is not installed.
    """
    try:
        import_module("plotly")
        return import_module("viser")
    except ImportError as error:
        raise DiffplanError(NEEDED) from error


class Studio:
    """A running studio; `url` is where it is, for browsers of this machine only. Ends with `close`."""

    def __init__(self, opening: Opening, *, port: int = PORT) -> None:
        """Serve at a port; where it is taken, at the next one that is free.

        Raises:
            InputError: if the port is none.
            DiffplanError: if viser or plotly is not installed.
        """
        viser = studio_packages()
        port = arguments.whole(port, "port", 1, 2**16 - 1, what="port", allowed="1 to 65535")
        self.opening = opening
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.views: dict[int, View] = {}
        with redirect_stdout(StringIO()):  # viser says where it is, which we do
            self._server = viser.ViserServer(host=HOST, port=port, label="diffplan studio", verbose=False)
        self._server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        self._server.scene.set_up_direction("+z")
        self._server.scene.configure_default_lights(cast_shadow=False)  # no mesh casts any: empty shadow maps take time
        self._server.on_client_connect(self._connect)
        self._server.on_client_disconnect(self._disconnect)

    @property
    def port(self) -> int:
        """The port it listens to."""
        return self._server.get_port()

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        return f"http://{HOST}:{self.port}"

    def __repr__(self) -> str:
        return f"Studio({self.url})"

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        return f'<iframe src="{self.url}" width="100%" height="640" style="border:0" title="diffplan studio"></iframe>'

    def wait(self) -> None:
        """Serve until `close` is called, or Ctrl-C."""
        while not self._closed.wait(0.5):
            pass

    def close(self) -> None:
        """End the server and the planning processes."""
        if not self._closed.is_set():
            self._closed.set()
            with self._lock:
                views, self.views = list(self.views.values()), {}
            for view in views:
                view.close()
            with redirect_stdout(StringIO()):
                self._server.stop()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, client: ClientHandle) -> None:
        from diffplan.studio.view import View

        view = View(client, self.opening)
        with self._lock:
            gone = self._closed.is_set()
            if not gone:
                self.views[client.client_id] = view
        if gone:
            view.close()

    def _disconnect(self, client: ClientHandle) -> None:
        with self._lock:
            view = self.views.pop(client.client_id, None)
        if view is not None:
            view.close()


def show(scene: Scene | str | Path, robot: Robot | str | Path | None = None, *, port: int = PORT) -> Studio:
    """Open a scene in the studio, a page for browsers of this machine.

    It goes on in the background until it is closed or the process ends; a script waits with `show(...).wait()`. In a
    notebook the page is shown where the call is the last of its cell.

    Args:
        scene: the scene, or the name of a shipped one, or the path of a scene file.
        robot: the arm, its name or the path of its file; None: the one that the scene names, else the Panda.
        port: where it is served; if it is taken, at the next free port.

    Raises:
        InputError: if scene or robot cannot be read, or the port is none.
        DiffplanError: if viser or plotly is not installed.
    """
    studio_packages()
    from diffplan.studio.opening import DEFAULT_ROBOT, of_scene

    scene = read_scene(scene)
    return _opened(of_scene(read_robot(robot or scene.robot or DEFAULT_ROBOT), scene), port)


def show_plan(plan: Plan, *, port: int = PORT) -> Studio:
    """Open a plan in the studio; else as `show`."""
    studio_packages()
    from diffplan.studio.opening import Opening, of_plan

    return _opened(Opening(first=of_plan(plan)), port)


def _opened(opening: Opening, port: int) -> Studio:
    studio = Studio(opening, port=port)
    atexit.register(studio.close)
    return studio

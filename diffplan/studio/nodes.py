"""Arms, obstacles and lines as nodes of a viser scene."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from diffplan.geometry.pose import Float, Pose
from diffplan.pybullet.palette import FLOOR, FURNITURE, TOUCHING, Rgba, obstacle_colours
from diffplan.robot.model import Robot
from diffplan.scene import Obstacle, Scene
from diffplan.studio.looks import Colour, Look, obstacle_look

if TYPE_CHECKING:
    from viser import MeshHandle, SceneApi

_LARGE, _VAST = 0.45, 4.0  # [m]


def rgb(colour: Rgba) -> Colour:
    """Return a colour of the palette as viser takes it."""
    r, g, b = (round(255 * part) for part in colour[:3])
    return r, g, b


RED = rgb(TOUCHING)


def wxyz(pose: Pose) -> tuple[float, float, float, float]:
    """Return a pose's quaternion as viser takes it."""
    x, y, z, w = pose.quat_xyzw
    return w, x, y, z


def pose_of(position: Float, wxyz: Float) -> Pose:
    """Return the pose of a viser node."""
    w, x, y, z = (np.asarray(wxyz, dtype=np.float64) / np.linalg.norm(wxyz)).tolist()
    a, b, c = np.asarray(position, dtype=np.float64).tolist()
    return Pose(xyz=(a, b, c), quat_xyzw=(x, y, z, w))


class ArmNodes:
    """An arm that can be placed: a frame for each link, with what is drawn of it."""

    def __init__(
        self,
        scene: SceneApi,
        root: str,
        looks: Mapping[str, Sequence[Look]],
        *,
        colour: Colour | None = None,
        opacity: float | None = None,
    ) -> None:
        """Add the nodes under a name; `colour` in place of the looks' own."""
        self.root = scene.add_frame(root, show_axes=False)
        self._frames, self._meshes = {}, {}
        self._painted: frozenset[str] = frozenset()
        for link, own in looks.items():
            self._frames[link] = scene.add_frame(f"{root}/{link}", show_axes=False)
            self._meshes[link] = [
                (add_look(scene, f"{root}/{link}/{i}", look, colour=colour, opacity=opacity), colour or look.colour)
                for i, look in enumerate(own)
            ]

    def place(self, arm: Robot, base: Pose, q: Float) -> None:
        """Put the links where they are at joint positions q [dof]."""
        names = list(self._frames)
        placed = [arm.chain.placement[name] for name in names]
        matrices = base.matrix @ arm.body_poses(q)[0][[body for body, _ in placed]] @ np.stack([m for _, m in placed])
        quats = Rotation.from_matrix(matrices[:, :3, :3]).as_quat()[:, [3, 0, 1, 2]]
        for name, matrix, quat in zip(names, matrices, quats, strict=True):
            frame = self._frames[name]
            frame.position, frame.wxyz = matrix[:3, 3], quat

    def paint(self, red: Collection[str]) -> None:
        """Show these links in red, and no others."""
        wanted = frozenset(red) & self._meshes.keys()
        for link in wanted ^ self._painted:
            for mesh, own in self._meshes[link]:
                mesh.color = RED if link in wanted else own
        self._painted = wanted


class ObstacleNodes:
    """The obstacles of a scene; what has changed since it was last shown is drawn anew."""

    def __init__(self, scene: SceneApi) -> None:
        """Begin with none."""
        self._scene = scene
        self._colours: Iterator[Rgba] = obstacle_colours()
        self._shown: dict[str, tuple[Obstacle, MeshHandle, Colour]] = {}
        self._looks: dict[str, Look] = {}
        self._red: frozenset[str] = frozenset()

    def show(self, scene: Scene) -> None:
        """Show these obstacles, and no others.

        Raises:
            InputError: if a file of one cannot be read.
        """
        names = {one.name for one in scene.obstacles}
        for name in [name for name in self._shown if name not in names]:
            self._shown.pop(name)[1].remove()
            del self._looks[name]
        for obstacle in scene.obstacles:
            self._show(obstacle, scene.robot_base)

    def paint(self, red: Collection[str]) -> None:
        """Show these obstacles in red, and no others."""
        self._red = frozenset(red)
        for name, (_, node, colour) in self._shown.items():
            wanted = RED if name in self._red else colour
            if tuple(node.color) != wanted:
                node.color = wanted

    def colour(self, name: str) -> Colour:
        """Return the colour that an obstacle is shown in."""
        r, g, b = self._shown[name][1].color
        return r, g, b

    def at(self, origin: Float, direction: Float) -> str | None:
        """Return the obstacle that a ray [3], [3] (world) meets first; None if it meets none.

        Nodes that take clicks themselves would keep the mouse from handles behind them.
        """
        met: dict[str, float] = {}
        for name, (obstacle, _, _) in self._shown.items():
            turn, place = obstacle.pose.matrix[:3, :3], np.array(obstacle.pose.xyz)
            look = self._looks[name]
            met[name] = first_hit(look.vertices[look.faces], (origin - place) @ turn, direction @ turn)
        nearest = min(met, key=lambda name: met[name], default=None)
        return nearest if nearest is not None and np.isfinite(met[nearest]) else None

    def _show(self, obstacle: Obstacle, base: Pose) -> None:
        old, node, colour = self._shown.get(obstacle.name, (None, None, None))
        if old is obstacle:
            return
        if colour is None:
            colour = self._colour(obstacle, base)
        if node is None or old is None or not _same_shape(old, obstacle):
            if node is not None:
                node.remove()
            look = obstacle_look(obstacle, base, colour)
            node = add_look(self._scene, f"/obstacles/{obstacle.name}", look)
            self._looks[obstacle.name] = look
            if obstacle.name in self._red:
                node.color = RED
        node.position, node.wxyz = np.array(obstacle.pose.xyz), np.array(wxyz(obstacle.pose))
        self._shown[obstacle.name] = obstacle, node, colour

    def _colour(self, obstacle: Obstacle, base: Pose) -> Colour:
        corners = obstacle_look(obstacle, base, RED).vertices
        longest = float(np.ptp(corners, axis=0).max())
        return rgb(FLOOR if longest > _VAST / 2 else FURNITURE if longest > _LARGE else next(self._colours))


def first_hit(triangles: Float, origin: Float, direction: Float) -> float:
    """Return how far along a ray [3], [3] the first of the triangles [n, 3, 3] is, in lengths of `direction`.

    Infinite if it meets none. Möller and Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection", 1997.
    """
    corner, one, other = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    across = np.cross(direction, other)
    volume = np.einsum("ij,ij->i", one, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_corner = origin - corner
        u = np.einsum("ij,ij->i", from_corner, across) / volume
        turned = np.cross(from_corner, one)
        v = turned @ direction / volume
        far = np.einsum("ij,ij->i", turned, other) / volume
        met = (u >= 0) & (v >= 0) & (u + v <= 1) & (far > 0)
    return float(far[met].min(initial=np.inf))


def _same_shape(a: Obstacle, b: Obstacle) -> bool:
    """Whether two obstacles differ in nothing but their poses."""
    return type(a) is type(b) and {**vars(a), "pose": None} == {**vars(b), "pose": None}


def add_look(
    scene: SceneApi, name: str, look: Look, *, colour: Colour | None = None, opacity: float | None = None
) -> MeshHandle:
    """Add triangles as a node."""
    return scene.add_mesh_simple(
        name,
        look.vertices.astype(np.float32),
        look.faces.astype(np.uint32),
        color=colour or look.colour,
        opacity=opacity,
        flat_shading=True,
        cast_shadow=False,
        receive_shadow=False,
    )


def segments(ways: Float) -> NDArray[np.float32]:
    """Return the pieces [k, 2, 3] of ways [ways, n, 3]."""
    return np.stack([ways[:, :-1], ways[:, 1:]], axis=2).reshape(-1, 2, 3).astype(np.float32)

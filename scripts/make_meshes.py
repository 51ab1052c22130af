"""Make the meshes of the shipped scenes: `python scripts/make_meshes.py` writes scenes/meshes/*.obj.

Every mesh is a profile revolved about z, with a handle or spout that reaches into it; it stands on z = 0, in metres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

FOLDER = Path(__file__).parent.parent / "scenes" / "meshes"
SECTIONS = 32

# Profiles (radius, z), from the axis at the bottom outside to the axis again; hollow ones come back down inside.
MUG = [(0, 0), (0.036, 0), (0.040, 0.004), (0.042, 0.095), (0.038, 0.095), (0.036, 0.008), (0, 0.008)]
BOWL = [
    *[(0, 0), (0.045, 0), (0.075, 0.020), (0.100, 0.055), (0.110, 0.090)],
    *[(0.104, 0.090), (0.094, 0.058), (0.070, 0.027), (0.042, 0.008), (0, 0.008)],
]
BOTTLE = [
    (0, 0),
    (0.036, 0),
    (0.038, 0.004),
    (0.038, 0.170),
    (0.030, 0.200),
    (0.015, 0.230),
    (0.015, 0.285),
    (0, 0.285),
]
KETTLE = [
    *[(0, 0), (0.085, 0), (0.090, 0.010), (0.085, 0.090), (0.065, 0.160), (0.045, 0.185)],
    *[(0.020, 0.190), (0.012, 0.215), (0, 0.215)],
]


def revolved(profile: list[tuple[float, float]]) -> trimesh.Trimesh:
    """Return the closed solid of a profile revolved about z."""
    return trimesh.creation.revolve(np.array(profile, dtype=float), sections=SECTIONS)


def arc(
    centre: tuple[float, float], radius: float, start_deg: float, end_deg: float, thickness: float
) -> trimesh.Trimesh:
    """Return a handle: a tube along a circular arc in the x-z plane, closed at both ends."""
    angles = np.radians(np.linspace(start_deg, end_deg, 13))
    ring = np.radians(np.arange(0, 360, 45))
    x, z = centre
    out = np.stack([np.cos(angles), np.zeros_like(angles), np.sin(angles)], axis=1)
    spine = np.array([x, 0, z]) + radius * out
    across = np.array([0, 1, 0])
    tube = spine[:, None] + thickness * (
        np.cos(ring)[None, :, None] * out[:, None] + np.sin(ring)[None, :, None] * across
    )
    n, sides = len(angles), len(ring)
    faces = []
    for i in range(n - 1):
        for j in range(sides):
            a, b = i * sides + j, i * sides + (j + 1) % sides
            faces += [[a, b, b + sides], [a, b + sides, a + sides]]
    for j in range(1, sides - 1):
        faces += [[0, j + 1, j], [(n - 1) * sides, (n - 1) * sides + j, (n - 1) * sides + j + 1]]
    mesh = trimesh.Trimesh(tube.reshape(-1, 3), faces, process=True)
    mesh.fix_normals()
    return mesh


def spout() -> trimesh.Trimesh:
    """Return the kettle's spout: a cone along a slanted axis."""
    mesh = trimesh.creation.cylinder(radius=0.014, height=0.09, sections=16)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(50), [0, 1, 0]))
    mesh.apply_translation([0.115, 0, 0.115])
    return mesh


def main() -> None:
    """Write the meshes, each part as a group of its own."""
    parts = {
        "mug": [revolved(MUG), arc((0.044, 0.050), 0.028, -68, 68, 0.005)],
        "bowl": [revolved(BOWL)],
        "bottle": [revolved(BOTTLE)],
        "kettle": [revolved(KETTLE), arc((0.0, 0.165), 0.085, 15, 165, 0.008), spout()],
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, meshes in parts.items():
        lines = [f"# {name}, made by scripts/make_meshes.py; metres, z up"]
        first = 1
        for number, mesh in enumerate(meshes):
            if not (mesh.is_watertight and mesh.volume > 0):
                raise SystemExit(f"{name}: part {number} is not closed")
            lines.append(f"g {name}_{number}")
            lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh.vertices]
            lines += [f"f {a + first} {b + first} {c + first}" for a, b, c in mesh.faces]
            first += len(mesh.vertices)
        (FOLDER / f"{name}.obj").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

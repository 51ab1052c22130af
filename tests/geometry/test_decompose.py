"""Convex parts of meshes: every point of the mesh is in a part, and the parts bulge no more than the bound."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree

from diffplan.geometry.convex import ConvexUnion
from diffplan.geometry.decompose import decompose
from diffplan.geometry.winding import winding_number


def _boxes(*boxes: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
    """Return the triangles of boxes (size, centre) that overlap, as published meshes do."""
    return np.concatenate([trimesh.creation.box(size).apply_translation(at).triangles for size, at in boxes])


def _tube(*, closed: bool) -> np.ndarray:
    """A tube of 10 mm wall; closed, with lids: a hollow that nothing can reach."""
    wall = trimesh.creation.annulus(r_min=0.05, r_max=0.06, height=0.2, sections=48).triangles
    lids = [trimesh.creation.cylinder(radius=0.055, height=0.008, sections=48) for _ in range(2)]
    lids = [lid.apply_translation((0, 0, z)).triangles for lid, z in zip(lids, (-0.096, 0.096), strict=True)]
    return np.concatenate([wall, *lids]) if closed else wall


_HOLLOW = np.array(trimesh.creation.icosphere(subdivisions=3, radius=0.06).triangles)
MESHES = {
    "l": _boxes(((0.2, 0.05, 0.05), (0, 0, 0)), ((0.05, 0.05, 0.2), (0.075, 0, 0.075))),
    "u": _boxes(((0.2, 0.06, 0.03), (0, 0, 0)), *(((0.03, 0.06, 0.15), (x, 0, 0.06)) for x in (-0.085, 0.085))),
    "turned": _boxes(((0.2, 0.05, 0.05), (0, 0, 0)), ((0.05, 0.05, 0.2), (0.075, 0, 0.075)))
    @ trimesh.transformations.rotation_matrix(0.7, (1, 2, 3))[:3, :3].T,
    "tube": _tube(closed=False),
    "closed tube": _tube(closed=True),
    "open": _HOLLOW[20:],  # a ball with a hole
}


@pytest.mark.parametrize(("name", "limit"), [(name, 0.010) for name in MESHES] + [("u", 0.005), ("tube", 0.005)])
def test_parts_hold_the_mesh_and_bulge_within_the_bound(name, limit):
    triangles = MESHES[name]
    parts = ConvexUnion(parts=tuple(decompose(triangles, limit)))
    assert all(part.is_watertight and part.volume > 0 for part in parts.parts)
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
    points, _ = trimesh.sample.sample_surface(mesh, 20_000, seed=0)
    assert parts.within_parts(points).min() > -3e-9
    within = np.random.default_rng(0).uniform(*mesh.bounds, (20_000, 3))
    assert parts.within_parts(within[winding_number(triangles, within) > 0.5]).min() > -1e-3  # no gap deep inside
    dense, _ = trimesh.sample.sample_surface(mesh, 200_000, seed=1)
    assert KDTree(dense).query(parts.surface(0.004))[0].max() < limit + 0.001


def test_an_l_is_two_parts_and_a_convex_mesh_one():
    assert len(decompose(MESHES["l"], 0.010)) == 2
    assert len(decompose(_HOLLOW, 0.001)) == 1


def test_one_mesh_has_one_answer():
    one, again = (decompose(MESHES["u"], 0.005) for _ in range(2))
    assert len(one) == len(again) == 3
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)

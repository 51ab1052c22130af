"""Links that collide as convex parts of their meshes instead of hulls: OBJ files beside the collision file.

A collision file names them link by link (`parts`), each with the shape of the URDF that it stands for, the file's
SHA-256, and a digest of the mesh that it was made of. A group of the file is a part, in m, in the shape's own frame.
A shipped robot has no such files: its collision file tells how far parts may bulge (`limit_mm`), and they are made of
the mesh in the user's cache folder when they are first needed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffplan.geometry.decompose import kept_parts
from diffplan.geometry.mesh_files import content_key
from diffplan.geometry.shapes import Mesh
from diffplan.robot.urdf import UrdfModel
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.system.assets import cache_folder
from diffplan.system.files import make_folder, write_bytes
from diffplan.system.progress import working
from diffplan.system.reading import is_file
from diffplan.system.third_party import trimesh

FOLDER = "parts"


@dataclass(frozen=True, kw_only=True)
class PartsFile:
    """Convex parts that stand for a mesh of a link: collision shape number `shape` of the link in the URDF.

    `limit` is how far they may bulge [m], of parts whose file is made when it is needed; None of those that lie beside
    the collision file.
    """

    shape: int
    file: Path
    sha256: str
    made_of: str
    limit: float | None = None


def source_key(mesh: Mesh) -> str:
    """Return a digest of what a mesh of a link is now, scaled.

    Raises:
        InputError: if its file cannot be read.
    """
    return hashlib.sha256(repr((content_key(mesh.file), mesh.scales)).encode()).hexdigest()


def write_parts(folder: Path, link: str, shape: int, mesh: Mesh, parts: Sequence[trimesh.Trimesh]) -> PartsFile:
    """Write the parts [m] of a mesh into a folder beside the collision file; the file's name tells its content.

    Raises:
        NotWritten: if the file cannot be written.
    """
    lines, first = ["# Convex parts, one a group, in m. Written by `diffplan robots fit`."], 1
    for number, part in enumerate(parts):
        lines.append(f"o part{number}")
        lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(part.vertices).tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (np.asarray(part.faces) + first).tolist()]
        first += len(part.vertices)
    data = ("\n".join(lines) + "\n").encode()
    digest = hashlib.sha256(data).hexdigest()
    file = folder / FOLDER / f"{re.sub('[^A-Za-z0-9_-]', '_', link)}.{shape}.{digest[:12]}.obj"
    if not is_file(file) or file.read_bytes() != data:
        make_folder(file.parent)
        write_bytes(file, data)
    return PartsFile(shape=shape, file=file, sha256=digest, made_of=source_key(mesh))


def made_parts(link: str, shape: int, mesh: Mesh, limit: float) -> PartsFile:
    """Make the parts of a mesh that bulge less than a limit [m] beyond it, in the user's cache folder.

    Raises:
        NotWritten: if they cannot be written there.
    """
    with working(f"cutting {link} into convex parts"):
        parts = kept_parts(np.asarray(mesh.surface().triangles), limit)
    return replace(write_parts(cache_folder(), link, shape, mesh, parts), limit=limit)


def parts_line(parts: PartsFile) -> str:
    """Return the entry of a collision file."""
    if parts.limit is not None:
        return f"{{shape: {parts.shape}, limit_mm: {1000 * parts.limit:g}, made_of: {parts.made_of}}}"
    file = f"{FOLDER}/{parts.file.name}"
    return f"{{shape: {parts.shape}, file: {file}, sha256: {parts.sha256}, made_of: {parts.made_of}}}"


def with_parts(model: UrdfModel, found: Mapping[str, Sequence[PartsFile]]) -> UrdfModel:
    """Return a model whose links collide as these parts; what the URDF says of them is kept as `published`."""
    collisions, published = dict(model.collisions), {}
    for link, files in found.items():
        shapes = list(collisions[link])
        for parts in files:
            old = shapes[parts.shape]
            shapes[parts.shape] = Mesh(name=old.name, file=parts.file, pose=old.pose, convex=True)
        if files:
            collisions[link], published[link] = tuple(shapes), collisions[link]
    return replace(model, collisions=collisions, published=published)


_SHAPE = Key(kind="number", about="which collision shape of the link, from 0", example="0")
_MADE_OF = Key(kind="text", about="digest of the mesh that they were made of", example="a3f1...")
PARTS_IN_FILE = Keys(
    shape=_SHAPE,
    file=Key(kind="path", about="mesh file of the parts", example="link3_parts.obj"),
    sha256=Key(kind="text", about="SHA-256 of that file", example="77b0..."),
    made_of=_MADE_OF,
)
PARTS_WITHIN = Keys(
    shape=_SHAPE,
    limit_mm=Key(
        kind="number", about="the parts are made when the robot is loaded, within this bulge", unit="mm", example="5"
    ),
    made_of=_MADE_OF,
)


def read_parts(entry: Entry, link: str, model: UrdfModel) -> list[PartsFile]:
    """Read the `parts` of a link in a collision file.

    Raises:
        InputError: if there is no such shape or file, a file is not the one that was written, or the mesh has changed.
    """
    found: list[PartsFile] = []
    refit = f"the files that `diffplan robots fit {entry.file.parent.name}` writes"
    for item in entry.sequence():
        own = "limit_mm" not in item.mapping()
        fields = item.fields(*(PARTS_IN_FILE if own else PARTS_WITHIN).names)
        meshes = [str(n) for n, shape in enumerate(model.collisions[link]) if isinstance(shape, Mesh)]
        shape = int(fields["shape"].choice(meshes, "mesh of the link"))
        if any(parts.shape == shape for parts in found):
            raise fields["shape"].error("parts of this shape stand above")
        mesh, made_of = model.collisions[link][shape], fields["made_of"].text()
        if not isinstance(mesh, Mesh) or source_key(mesh) != made_of:
            raise fields["made_of"].error(
                f"the mesh of {link} is not the one that its parts were made of", allowed=refit
            )
        if not own:
            found.append(made_parts(link, shape, mesh, fields["limit_mm"].number(positive=True) / 1000))
            continue
        file = fields["file"].path()
        if hashlib.sha256(file.read_bytes()).hexdigest() != fields["sha256"].text():
            raise fields["sha256"].error(f"{file.name} is not what was written", allowed=refit)
        found.append(PartsFile(shape=shape, file=file, sha256=fields["sha256"].text(), made_of=made_of))
    return found

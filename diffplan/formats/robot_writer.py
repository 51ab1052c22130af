"""Robot files that `diffplan robots add` writes: YAML for people, with what was found out beside each value."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from diffplan.geometry.pose import Float
from diffplan.robot.discovery import Anatomy
from diffplan.robot.rates import FIRM_UP, SPEED_UP, urdf_velocity
from diffplan.robot.urdf import UrdfModel


def robot_text(
    name: str,
    urdf: Mapping[str, str],
    model: UrdfModel,
    parts: Anatomy,
    *,
    packages: Mapping[str, str],
    exempt: Sequence[tuple[str, str]] = (),
    configurations: Mapping[str, Float],
) -> str:
    """Return the text of a robot file.

    Args:
        name: of the robot.
        urdf: how the file is named (`urdf_words`).
        model: the URDF.
        parts: what was found of it.
        packages: folders of ROS packages by name, as the file shall spell them.
        exempt: link pairs whose contact does not count.
        configurations: joint positions [dof] by name.
    """
    lines = [
        "# Written by `diffplan robots add`. Poses without a link are those of `tool`.",
        "format: diffplan/robot@1",
        f"name: {yaml_word(name)}",
        f"urdf: {_flow(urdf)}",
    ]
    if packages:
        lines.append(f"packages: {_flow(packages)}")
    lines += [
        f"base_link: {yaml_word(parts.base_link)}",
        f"end_link: {yaml_word(parts.end_link)}",
        f"tool: {_tool(parts)}",
    ]
    lines += [
        "# Position limits and velocities [rad/s or m/s] are the URDF's. No URDF tells acceleration and jerk. While",
        f"# they are not written here, they are {SPEED_UP:g}/s times the velocity and {FIRM_UP:g}/s times the",
        "# acceleration, and outputs say so. To tell them: joint: {velocity: 2.0, acceleration: 8.0, jerk: 160.0}",
        "joints:",
    ]
    for joint in parts.joint_names:
        velocity = urdf_velocity(model, parts.joint_names, joint)
        told = {} if velocity is None else {"velocity": velocity}
        spelt = f", {model.velocity[joint]:g} only stands there" if joint in model.velocity else ""
        why = "" if told else f"  # the URDF tells no velocity limit{spelt}: a default is taken"
        lines.append(f"  {yaml_word(joint)}: {_flow(told)}{why}")
    if parts.held_joints:
        lines.append(f"held_joints: {_flow(parts.held_joints)}")
    if parts.gripper is not None:
        lines += ["gripper:", "  joints:"]
        for joint, (opened, closed) in parts.gripper.joints.items():
            lines.append(f"    {yaml_word(joint)}: {_flow({'open': opened, 'closed': closed})}")
        lines.append(f"  may_touch: {_flow(list(parts.gripper.may_touch))}")
    if exempt:
        lines.append("# Pairs of links whose contact does not count, neither in planning nor in the certificate.")
        lines += ["exempt_pairs:", *(f"  - {_flow(list(pair))}" for pair in exempt)]
    lines.append("configurations:" if configurations else "configurations: {}")
    lines += [
        f"  {yaml_word(key)}: {_flow([round(float(v), 6) + 0.0 for v in q])}" for key, q in configurations.items()
    ]
    return "\n".join([*lines, "collision: collision.yaml", ""])


def urdf_words(urdf: Path, folder: Path, *, out: Path | None) -> dict[str, str]:
    """Return how a robot file in `folder` names a URDF: by the Python package that ships it, else by its path.

    Args:
        urdf: the file.
        folder: of the robot file.
        out: the folder of robots that the user named; a path within its parent is a relative one.
    """
    path = Path(os.path.abspath(urdf))
    for root in (Path(entry) for entry in sys.path if os.path.isabs(entry)):
        share = root / "cmeel.prefix" / "share"
        if path.is_relative_to(share) and len(path.relative_to(share).parts) > 1:
            return {"file": f"package://{path.relative_to(share).as_posix()}"}
        if root.name in ("site-packages", "dist-packages") and path.is_relative_to(root):
            package, *rest = path.relative_to(root).parts
            if rest and package.isidentifier():
                return {"package": package, "file": "/".join(rest)}
    return {"file": folder_word(path, folder, out=out)}


def folder_word(path: Path, folder: Path, *, out: Path | None) -> str:
    """Return how a robot file in `folder` spells a path; as `urdf_words`."""
    near = out is not None and path.is_relative_to(os.path.abspath(out.absolute().parent))
    return os.path.relpath(path, folder) if near else str(path)


def _tool(parts: Anatomy) -> str:
    words: dict[str, object] = {"link": parts.tool.link}
    if any(parts.tool.pose.xyz):
        words["xyz"] = list(parts.tool.pose.xyz)
    return _flow(words)


def yaml_word(text: str) -> str:
    """Return a text as one word of YAML: in quotes where it would be read as something else."""
    return _flow([text])[1:-1]


def _flow(value: object) -> str:
    """Return a value in YAML on one line, numbers with all their digits and texts that look like others in quotes."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=2**20, sort_keys=False, allow_unicode=True)
        .strip()
        .removesuffix("...")
        .strip()
    )

"""Constraints with a name: for `diffplan.plan(constraints=...)`, `diffplan plan --constraint` and scenes' queries."""

from __future__ import annotations

CONSTRAINTS = {
    "upright": "an axis of the tool stays near the vertical, so that a glass does not spill",
    "stay_in": "the tool stays in a box",
    "speed": "the tool is never faster",
}
PARAMETERS = {
    "upright": {
        "degrees": "DEGREES from the vertical at most, above 0 and below 180 (default 5)",
        "link": "LINK (default: the robot's tool)",
        "axis": "x|y|z|-x|-y|-z or X,Y,Z in the link's frame (default: what points up at the start)",
    },
    "stay_in": {
        "xyz": "X,Y,Z centre of the box, world frame [m]",
        "size": "X,Y,Z its edges [m]",
        "rpy_deg": "R,P,Y its orientation [degrees] (default 0,0,0), or quat_xyzw",
        "quat_xyzw": "X,Y,Z,W its orientation",
        "link": "LINK whose origin stays in it (default: the robot's tool)",
    },
    "speed": {
        "limit": "SPEED at most [m/s]",
        "link": "LINK whose origin it is (default: the robot's tool)",
    },
}
"""The constraints that can be written so, their parameters and what these mean."""

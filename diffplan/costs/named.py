"""Costs with a name: ready-made wishes for `diffplan.plan(costs=...)` and `diffplan plan --cost`."""

from __future__ import annotations

COSTS = {
    "upright": "keep a link's axis vertical, so that a glass does not spill",
    "avoid": "keep the arm, or one of its links, at a distance from a sphere, capsule, box or obstacle",
    "prefer": "keep joints within ranges, or near a named configuration",
}
PARAMETERS = {
    "upright": {
        "link": "LINK (default: the robot's end link)",
        "axis": "x|y|z|-x|-y|-z or X,Y,Z in the link's frame, shall point up (default: what points up at the start)",
        "tolerance_deg": "DEGREES of tilt that are free (default 5)",
    },
    "avoid": {
        "xyz": "X,Y,Z centre of the region, world frame [m]",
        "rpy_deg": "R,P,Y its orientation [degrees] (default 0,0,0)",
        "radius": "RADIUS of a sphere, or with height of a capsule about the region's z axis [m]",
        "height": "HEIGHT of the capsule's straight part [m]",
        "size": "X,Y,Z edges of a box [m]",
        "obstacle": "NAME of an obstacle of the scene, instead of a region",
        "comfort": "DISTANCE that shall be kept [m] (default 0.1)",
        "link": "LINK alone that keeps it (default: every moving link)",
    },
    "prefer": {
        "JOINT": "LOWER,UPPER range of a joint, by its name [rad or m]; any number of joints",
        "near": "NAME of a configuration to stay near, instead of ranges",
        "within": "DISTANCE from it that is free, each joint [rad or m] (default 0.3)",
    },
}
COMMON = {
    "weight": "rad of path length that one unit of the cost is worth",
    "name": "what the plan calls the cost (default: that of its kind)",
}

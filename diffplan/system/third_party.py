"""trimesh, imported while signals wait: its optional imports catch every exception, and would swallow a Ctrl-C."""

from __future__ import annotations

from diffplan.system.stopping import waiting

with waiting():
    import trimesh as trimesh

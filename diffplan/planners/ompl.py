"""OMPL's modules. Everything that uses OMPL takes them from here.

A signal waits until they are loaded: OMPL's C++ makes Python classes while it loads, and what a signal's handler raises
within that ends the process by std::terminate, with a stack of C++.
"""

from diffplan.system.stopping import waiting

with waiting():
    from ompl import base, geometric, util

__all__ = ["base", "geometric", "util"]

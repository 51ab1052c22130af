"""Sequences of motions with things in hand: grasps, the search over all steps, playing and drawing them."""

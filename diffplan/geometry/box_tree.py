"""Trees of boxes, for compiled searches."""

import numpy as np
from numba import njit


@njit(cache=True)
def box_trees(lower, upper, middle, bounds, leaf):
    """Return a tree over each range `bounds[i]:bounds[i + 1]` of boxes, split at the median along the longest side.

    `lower`, `upper` [n, 3] are their corners, `middle` [n, 3] is what they are sorted by; a leaf has at most `leaf`.
    Node n has the box `boxes[n]` = (lower, upper) [6]; `first[n]`, `count[n]` are its items in the order of `order` if
    it is a leaf (count > 0), else its children are n + 1 and `first[n]`. `roots` are the trees' first nodes.
    """
    total = len(lower)
    order = np.arange(total)
    most = 2 * total + 1
    boxes, first, count = np.empty((most, 6)), np.zeros(most, np.int64), np.zeros(most, np.int64)
    roots = np.zeros(len(bounds) - 1, np.int64)
    stack = np.empty((128, 3), np.int64)
    node = 0
    for tree in range(len(bounds) - 1):
        if bounds[tree] == bounds[tree + 1]:
            continue
        roots[tree] = node
        stack[0, 0], stack[0, 1], stack[0, 2] = bounds[tree], bounds[tree + 1], -1
        height = 1
        while height > 0:
            height -= 1
            begin, end, parent = stack[height, 0], stack[height, 1], stack[height, 2]
            if parent >= 0:
                first[parent] = node
            for i in range(3):
                least, largest = np.inf, -np.inf
                for j in range(begin, end):
                    least, largest = min(least, lower[order[j], i]), max(largest, upper[order[j], i])
                boxes[node, i], boxes[node, 3 + i] = least, largest
            first[node] = begin
            if end - begin <= leaf:
                count[node] = end - begin
                node += 1
                continue
            axis = 0
            for i in range(1, 3):
                if boxes[node, 3 + i] - boxes[node, i] > boxes[node, 3 + axis] - boxes[node, axis]:
                    axis = i
            chosen = order[begin:end].copy()
            order[begin:end] = chosen[np.argsort(middle[chosen, axis], kind="mergesort")]
            half = begin + (end - begin) // 2
            stack[height, 0], stack[height, 1], stack[height, 2] = half, end, node
            stack[height + 1, 0], stack[height + 1, 1], stack[height + 1, 2] = begin, half, -1
            height += 2
            node += 1
    return order, boxes[:node], first[:node], count[:node], roots

"""What obstacles are, not only what they do to a path: one token for each, looked up by cross-attention.

Obstacle tokens after CAMPD (ICRA 2026): a small network makes a token of each primitive, and the bottleneck of the
U-Net attends to them. Keys and values depend on the scene only, so one scene is encoded once for a whole batch and all
reverse steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffplan.collision.lanes import BOX, FIELD
from diffplan.collision.obstacles import Obstacles

HEADS = 4
_KINDS = FIELD  # what the shipped weights know; the kernel's other kinds count as their boxes
CHANNELS = _KINDS + 12
MOST = 256
"""So many obstacles of a scene, the nearest to the base, have a token: attention to 10,000 takes seconds."""

_described: WeakKeyDictionary[Obstacles, SceneTokens] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneTokens:
    """Obstacles of scenes as numbers: `features` [scenes, most, CHANNELS] float32, `there` [scenes, most] bool.

    Channels: kind (one-hot), centre (3) [m], first two columns of the rotation (6), half extents (3) [m], all in the
    robot's base frame; a sampled mesh is its oriented bounding box. Rows that are not `there` are padding.
    """

    features: Tensor
    there: Tensor

    @staticmethod
    def describe(world: Obstacles) -> SceneTokens:
        """Return the tokens of all scenes packed in `world`, of each scene at most `MOST`; made once for each world."""
        if world not in _described:
            _described[world] = SceneTokens._made(world)
        return _described[world]

    @staticmethod
    def _made(world: Obstacles) -> SceneTokens:
        first = world.arrays.first
        chosen = [_nearest(world.arrays.aabb[begin:end]) + begin for begin, end in pairwise(first)]
        counts = np.array([len(rows) for rows in chosen], dtype=np.int64)
        most = max(1, int(counts.max(initial=0)))
        features = np.zeros((len(counts), most, CHANNELS), dtype=np.float32)
        for scene, rows in enumerate(chosen):
            for place, number in enumerate(rows):
                row = world.rows[number]
                lower, upper = row.extent
                rotation, origin = row.T_base_solid[:3, :3], row.T_base_solid[:3, 3]
                at = features[scene, place]
                at[row.kind if row.kind < _KINDS else BOX] = 1.0
                at[_KINDS : _KINDS + 3] = origin + rotation @ (lower + upper) / 2
                at[_KINDS + 3 : _KINDS + 9] = rotation[:, :2].T.ravel()
                at[_KINDS + 9 :] = (upper - lower) / 2
        there = torch.arange(most) < torch.from_numpy(counts)[:, None]
        return SceneTokens(features=torch.from_numpy(features), there=there)

    def in_units(self, length: float, height: float) -> SceneTokens:
        """Return the tokens with lengths in units of `length` [m], centres told from `height` [m] above the base."""
        features = self.features.clone()
        features[..., _KINDS + 2] -= height
        features[..., _KINDS : _KINDS + 3] /= length
        features[..., _KINDS + 9 :] /= length
        return replace(self, features=features)

    def turned(self, rotation: Tensor) -> SceneTokens:
        """Return the tokens of each scene turned (or mirrored) about the base by orthogonal matrices [scenes, 3, 3].

        All kinds are their own mirror images, so the mirrored axes of a solid are axes of its image.
        """
        features = self.features.clone()
        count, most = self.there.shape
        vectors = features[..., _KINDS : _KINDS + 9].reshape(count, most * 3, 3) @ rotation.transpose(1, 2)
        features[..., _KINDS : _KINDS + 9] = vectors.view(count, most, 9)
        return replace(self, features=features)

    def of(self, scene_of: Tensor) -> SceneTokens:
        """Return the tokens [b, ...] of the scenes scene_of [b], padded only as far as these scenes need."""
        there = self.there[scene_of]
        most = max(1, int(there.sum(1).max()))
        return SceneTokens(features=self.features[scene_of, :most], there=there[:, :most])


def _nearest(boxes: np.ndarray) -> np.ndarray:
    """Return the numbers, in their order, of at most `MOST` boxes [n, 6] in the base frame: the nearest to the base."""
    if len(boxes) <= MOST:
        return np.arange(len(boxes))
    away = np.linalg.norm(np.maximum(np.maximum(boxes[:, :3], -boxes[:, 3:]), 0.0), axis=1)
    return np.sort(np.argsort(away, kind="stable")[:MOST])


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """Encoded tokens: `keys` and `values` of every block [b or 1, HEADS, most + 1, width / HEADS].

    `bias` [b or 1, 1, 1, most + 1] is 0 for an obstacle and -inf for padding; `present` [b or 1] says for which
    samples the scene is there at all: the others come out untouched.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    bias: Tensor
    present: Tensor

    def rows(self, rows: Tensor) -> Context:
        """Return the context of some samples."""
        keys, values = (tuple(part[rows] for part in parts) for parts in (self.keys, self.values))
        return Context(keys=keys, values=values, bias=self.bias[rows], present=self.present[rows])

    def twice(self, batch: int) -> Context:
        """Return the context for a batch and the same batch again, from which the scene is kept."""
        both = self if len(self.present) == 1 else self.rows(torch.arange(batch).repeat(2))
        return both.shown(torch.arange(2 * batch) < batch)

    def shown(self, present: Tensor) -> Context:
        """Return the context with the scene kept from the samples where `present` [b] is False."""
        return replace(self, present=present)


class _Block(nn.Module):
    """x + attention(norm(x), tokens), then x + MLP(norm(x)); both start at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.query, self.mix = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )
        for last in (self.mix, self.mlp[-1]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values [b, HEADS, m, width / HEADS] of tokens [b, m, width]."""
        key, value = self.key_value(tokens).chunk(2, dim=2)
        return _split(key), _split(value)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        query = _split(self.query(self.norm(x)))
        weight = (query @ key.transpose(2, 3) / query.shape[3] ** 0.5 + bias).softmax(dim=3)
        x = x + self.mix((weight @ value).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


def _split(x: Tensor) -> Tensor:
    """Return x [b, n, width] as heads [b, HEADS, n, width / HEADS]."""
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)


class TokenAttention(nn.Module):
    """Cross-attention from points [b, n, width] to obstacle tokens, pre-norm, `blocks` blocks.

    Beside the obstacles there is always one learnt token to look at: nothing. Without context x stays as it is.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(CHANNELS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.nothing = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))

    def _each(self) -> list[_Block]:
        return [block for block in self.blocks if isinstance(block, _Block)]

    def encode(self, tokens: SceneTokens) -> Context:
        """Return keys and values of every block, for as many scenes as `tokens` has."""
        count = len(tokens.features)
        embedded = torch.cat((self.nothing.expand(count, -1, -1), self.embed(tokens.features)), dim=1)
        pairs = [block.encode(embedded) for block in self._each()]
        bias = torch.zeros(tokens.there.shape).masked_fill(~tokens.there, -torch.inf)
        return Context(
            keys=tuple(key for key, _ in pairs),
            values=tuple(value for _, value in pairs),
            bias=F.pad(bias, (1, 0))[:, None, None],
            present=torch.ones(count, dtype=torch.bool),
        )

    def forward(self, x: Tensor, context: Context | None) -> Tensor:
        """Return x [b, n, width] with what the obstacles say added, where they are present."""
        if context is None:
            return x
        y = x
        for block, key, value in zip(self._each(), context.keys, context.values, strict=True):
            y = block(y, key, value, context.bias)
        return torch.where(context.present[:, None, None], y, x)

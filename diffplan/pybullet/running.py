"""Arguments that name a running PyBullet world and bodies in it: wrong ones are refused before PyBullet sees them."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable

from diffplan import arguments
from diffplan.certificate.bullet import bullet, is_inherited
from diffplan.errors import InputError

SOFT_BODY = 3
"""What PyBullet gives as the kind of a soft body (getDynamicsInfo)."""
_CLIENTS = "a connected client, as pybullet.connect() returns it (below 0: it could not connect)"
_LARGEST = 2**31 - 1


def check_client(client: int) -> int:
    """Return the number of a physics client that is connected.

    Raises:
        InputError: if it is no client's number, or that of a closed one.
    """
    number = _whole(client, "client", _CLIENTS)
    if not bullet.isConnected(number):
        raise InputError("no PyBullet client of this number is connected", key="client", value=client, allowed=_CLIENTS)
    if is_inherited(number):
        raise InputError(
            "this client was opened before this process was forked, and belongs to the parent",
            key="client",
            value=client,
            allowed="a client that this process opened, or a DIRECT one",
        )
    return number


def bodies_of(client: int) -> list[int]:
    """Return the numbers of the bodies of a connected client."""
    return [
        bullet.getBodyUniqueId(i, physicsClientId=client) for i in range(bullet.getNumBodies(physicsClientId=client))
    ]


def check_body(client: int, body: int, key: str) -> int:
    """Return the number of a body that is in the world; `key` names the argument in the error.

    Raises:
        InputError: if there is no such body (any more).
    """
    known = bodies_of(client)
    allowed = f"bodies in this world: {', '.join(str(b) for b in known) or 'there are none'}"
    number = _whole(body, key, allowed)
    if number not in known:
        raise InputError("no such body in this world", key=key, value=body, allowed=allowed)
    return number


def as_bodies(bodies: Collection[int], key: str) -> list[int]:
    """Return a collection of bodies as a list.

    Raises:
        InputError: if it is none: one body, or text.
    """
    if isinstance(bodies, str) or not isinstance(bodies, Iterable):
        raise InputError("not a collection of bodies", key=key, value=bodies, allowed="numbers of bodies, [3, 4] say")
    return list(bodies)


def is_soft(client: int, body: int) -> bool:
    """Whether a body is soft."""
    return bullet.getDynamicsInfo(body, -1, physicsClientId=client)[10] == SOFT_BODY


def _whole(value: int, key: str, allowed: str) -> int:
    """Return a whole number that PyBullet can take (NumPy's too); bool is none."""
    plain = arguments.plain(value)
    try:
        number = None if isinstance(plain, bool) else operator.index(plain)  # pyright: ignore[reportArgumentType]
    except TypeError:
        number = None
    if number is None or not -_LARGEST <= number <= _LARGEST:
        raise InputError("not a number that PyBullet gives", key=key, value=value, allowed=allowed)
    return number

"""A plain mutator, for where none that coverage guides is installed: the same inputs for the same seed, everywhere."""

import random
from collections.abc import Iterator, Sequence

from fuzz.targets import Target

STEPS = 4  # changes to one input, at most


def inputs(target: Target, count: int, seed: int = 0) -> Iterator[bytes]:
    """So many inputs: the target's own seeds, changed a little, crossed with each other."""
    chance = random.Random(f"{target.name} {seed}")
    for _ in range(count):
        data = bytearray(chance.choice(target.seeds))
        for _ in range(chance.randint(1, STEPS)):
            _change(data, target, chance)
        yield bytes(data)


def _change(data: bytearray, target: Target, chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 16)))
    match chance.randrange(7):
        case 0:
            data[at:end] = b""
        case 1:
            data[at:at] = chance.choice(target.words)
        case 2:
            data[at:end] = chance.choice(target.words)
        case 3:
            data[at:at] = data[at:end] * chance.choice((1, 2, 40))
        case 4:
            data[at:end] = chance.randbytes(end - at)
        case 5:
            other = chance.choice(target.seeds)
            start = chance.randint(0, len(other))
            data[at:end] = other[start : start + chance.randint(1, 40)]
        case _:
            _flip(data, chance)


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def shown(data: bytes) -> str:
    """For a message."""
    return repr(data if len(data) <= 400 else data[:400] + b"...")


def failures(target: Target, data: Sequence[bytes]) -> list[str]:
    """What the target says of those inputs that it fails on."""
    found = []
    for one in data:
        try:
            target.once(one)
        except Exception as error:
            found.append(f"{target.name}: {shown(one)}: {type(error).__name__}: {error}")
    return found

"""Bytes of HTTP changed at random: what is asked and what is answered are spoilt alike."""

import random
from collections.abc import Sequence

KINDS = 5


def spoil(
    data: bytearray, at: int, kind: int, chance: random.Random, bytes_: Sequence[bytes], words: Sequence[bytes]
) -> None:
    """In one of KINDS ways. bytes_: single ones. words: that mean something in HTTP."""
    if kind == 0:
        data[at : at + 1] = chance.choice(bytes_)
    elif kind == 1:
        data[at:at] = chance.choice(bytes_)
    elif kind == 2:
        del data[at : at + chance.choice((1, 1, 2, 5))]
    elif kind == 3:
        data[at:at] = chance.choice(words)
    else:  # at a line's beginning, where it is a line
        line = data.find(b"\n", at) + 1
        data[line:line] = chance.choice(words)

"""Uses counted in sliding windows, in this process: pure, and bounded whatever comes. Who is counted is in `quota`.

A window is cut into parts, and a use counts until the last part that it may be in has passed: never more than the
limit in any window, and a use is remembered for up to a part longer than the window.
"""

from collections.abc import Callable
from typing import Final

PARTS: Final = 10  # of a window: a use counts for at most a tenth longer. Twenty would cost 80 bytes a key
_RING: Final = PARTS + 1  # the part under way, and those before it that a window may reach into
LOOKED_AT: Final = 8  # keys, of which the one that used the least makes room for a new one
FORESEEN: Final = 1  # parts that another node's clock may be ahead


class Window:
    """What one key has used. counts: by part, at its number modulo their number. slot: the number of the newest part.

    total: of all of them. first: no part before this number has any.
    """

    __slots__ = ("counts", "first", "slot", "total")

    def __init__(self, slot: int) -> None:
        self.counts = [0] * _RING
        self.slot = self.first = slot
        self.total = 0

    def advance(self, slot: int) -> None:
        """To this part: what a window does not reach any more is dropped."""
        passed = slot - self.slot
        if passed <= 0:
            if passed < -_RING:  # the clock was set back: what was used counts for one window more, and not for ever
                used = self.total
                self.counts = [0] * _RING
                self.counts[slot % _RING] = used
                self.slot = self.first = slot
            return
        if passed >= _RING:
            if self.total:
                self.counts = [0] * _RING
                self.total = 0
        else:
            counts = self.counts
            for number in range(self.slot + 1, slot + 1):
                place = number % _RING
                self.total -= counts[place]
                counts[place] = 0
        self.slot = slot

    def leaves(self, uses: int) -> int:
        """The part with which so many uses count no more. uses: from 1 to the total."""
        counts, number = self.counts, self.first
        if number < self.slot - PARTS:
            number = self.slot - PARTS
        while number < self.slot and not counts[number % _RING]:
            number += 1
        self.first = number  # the next look begins here
        while number < self.slot:
            uses -= counts[number % _RING]
            if uses <= 0:
                break
            number += 1
        return number + _RING


class Table:
    """Windows by key, at most `most` of them. name: of the limit, the same in all processes that share it.

    A key that is new while the table is full takes the place of the one that used the least of a few: whoever has used
    a limit up is not forgotten for it, whatever number of others comes. ahead: seconds that are added to every time:
    with it all nodes cut their windows at the same moments. forgotten: keys that had to make room while they counted.

    unsent: uses that the other processes have not been told of, by key and part; None where there are none to tell.
    call: called when a key has used its share of a limit since it was told last.
    """

    __slots__ = ("_hand", "_keys", "_windows", "ahead", "call", "forgotten", "most", "name", "part", "unsent")

    def __init__(self, name: str, seconds: float, most: int) -> None:
        """seconds: of the window."""
        self.name = name
        self.part = seconds / PARTS
        self.most = most
        self.ahead = 0.0
        self.forgotten = 0
        self.unsent: dict[str, dict[int, int]] | None = None
        self.call: Callable[[], object] | None = None
        self._windows: dict[str, Window] = {}
        self._keys: list[str] = []
        self._hand = 0

    def __len__(self) -> int:
        """Keys held."""
        return len(self._keys)

    def at(self, key: str, now: float) -> Window:
        """The key's window as it is now; made where there is none. now: monotonic seconds."""
        slot = int((now + self.ahead) / self.part)
        window = self._windows.get(key)
        if window is None:
            return self._make(key, slot)
        if window.slot != slot:
            window.advance(slot)
        return window

    def use(self, key: str, window: Window, share: int) -> None:
        """One use more. window: from `at`. share: uses after which the others are told at once."""
        place = window.slot % _RING
        window.counts[place] += 1
        window.total += 1
        if self.unsent is not None:
            self._note(self.unsent, key, window.slot, share)

    def seconds(self, window: Window, uses: int, now: float) -> float:
        """Until so many uses count no more; 0.0 where there are none."""
        if not window.total:
            return 0.0
        return window.leaves(uses) * self.part - (now + self.ahead)

    def sweep(self, now: float, looks: int) -> None:
        """Drops keys that count no more, among the next few."""
        slot = int((now + self.ahead) / self.part)
        for _ in range(min(looks, len(self._keys))):
            self._hand = self._hand % len(self._keys)
            key = self._keys[self._hand]
            window = self._windows[key]
            window.advance(slot)
            if window.total:
                self._hand += 1
                continue
            del self._windows[key]
            last = self._keys.pop()
            if self._hand < len(self._keys):
                self._keys[self._hand] = last

    # shared with other processes

    def take(self, most: int, now: float) -> list[tuple[str, dict[int, int]]]:
        """Uses that are to be told, of some keys, by part; they are taken as told. What counts no more is left out."""
        unsent, taken = self.unsent, list[tuple[str, dict[int, int]]]()
        oldest = int((now + self.ahead) / self.part) - PARTS
        while unsent and len(taken) < most:
            key, uses = unsent.popitem()
            uses = {slot: count for slot, count in uses.items() if slot >= oldest}
            if uses:
                taken.append((key, uses))
        return taken

    def learn(self, key: str, counts: dict[int, int], now: float) -> None:
        """What all processes together have used, as far as it was told, by part.

        Never less than what is known here: a server that lost its data is no fresh start.
        """
        window = self._windows.get(key)
        if window is None:
            return
        newest = slot = int((now + self.ahead) / self.part)
        for number in counts:
            if slot < number <= slot + FORESEEN:
                newest = number
        window.advance(newest)
        mine = self.unsent.get(key) if self.unsent is not None else None
        for number in range(window.slot - PARTS, window.slot + 1):
            known = counts.get(number, 0) + (mine.get(number, 0) if mine is not None else 0)
            place = number % _RING
            if known > window.counts[place]:
                window.total += known - window.counts[place]
                window.counts[place] = known
                window.first = min(window.first, number)

    def _note(self, unsent: dict[str, dict[int, int]], key: str, slot: int, share: int) -> None:
        mine = unsent.get(key)
        if mine is None:
            if len(unsent) >= self.most:
                return  # the others have been away for long; this process goes on by what it knows
            mine = unsent[key] = {}
        count = mine.get(slot, 0) + 1
        mine[slot] = count
        if len(mine) > 1:  # a new part has begun since the others were told
            count = sum(mine.values())
        if count == share and self.call is not None:
            self.call()

    def _make(self, key: str, slot: int) -> Window:
        if len(self._keys) < self.most:
            self._keys.append(key)
        else:
            place = self._least(slot)
            del self._windows[self._keys[place]]
            self._keys[place] = key
        window = self._windows[key] = Window(slot)
        return window

    def _least(self, slot: int) -> int:
        """The place of the key that used the least among the next few."""
        best, least = 0, -1
        for _ in range(min(LOOKED_AT, len(self._keys))):
            place = self._hand = (self._hand + 1) % len(self._keys)
            window = self._windows[self._keys[place]]
            if window.slot != slot:
                window.advance(slot)
            if least < 0 or window.total < least:
                best, least = place, window.total
        if least:
            self.forgotten += 1
        return best

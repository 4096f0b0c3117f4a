"""When a worker counts as one that hangs."""

import pytest

from gateway.supervise.channel import ChannelClosedError, Message
from gateway.supervise.pulse import silence


class Answers:
    """A worker that answers as often as it is written, and then that it cannot."""

    def __init__(self, *answers: bool) -> None:
        self.missed = 0
        self.asked = 0
        self._answers = list(answers)

    async def ask(self, do: str, seconds: float) -> Message:
        assert do == "ping"
        self.asked += 1
        if not self._answers or not self._answers.pop(0):
            raise ChannelClosedError
        return {}


@pytest.mark.parametrize(
    ("answers", "asked"), [((), 3), ((True,), 4), ((False, False, True), 6), ((False, True, False, True), 7)]
)
async def test_so_many_misses_in_a_row_are_silence(answers: tuple[bool, ...], asked: int) -> None:
    """One answer begins the count anew."""
    worker = Answers(*answers)
    await silence(worker, 0.001, misses=3)
    assert (worker.asked, worker.missed) == (asked, 3)

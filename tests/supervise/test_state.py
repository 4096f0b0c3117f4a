"""What one release of a supervisor hands to another."""

import json
import os

import pytest

from gateway.ops.merged import Family
from gateway.supervise.state import SlotState, State, StateUnknown, WorkerState, read, written

WHOLE = State(
    3, "text", [SlotState(1, 4, 2, 1.5, [WorkerState(77, 5, 9.5, "x 1\n", leaving=True, release=2, current=False)])],
    {"done": 3, "refused": 1}, {"x": Family("counter", "# HELP", {"x": 1.0})}, 2, reload=True,
)  # fmt: skip

FIRST = {  # as the first release wrote it
    "admin": 3, "configuration": "text", "drain": 30.0, "reloads": {"done": 0, "refused": 0}, "kept": {},
    "slots": [{"number": 1, "listening": 4, "restarts": 0, "seconds": 0.0, "workers": [
        {"pid": 77, "control": 5, "since": 9.5, "exposition": "", "leaving": False}]}],
}  # fmt: skip


def taken(text: str) -> State:
    number = os.memfd_create("state")
    with os.fdopen(number, "w") as file:
        file.write(text)
        file.flush()
        return read(number)


def test_what_is_written_is_read() -> None:
    """All of it, and twice: the trial reads it first."""
    number = written(WHOLE)
    assert read(number) == read(number) == WHOLE
    os.close(number)
    assert WHOLE.descriptors() == [3, 4, 5]


def test_the_first_release_can_be_succeeded() -> None:
    """What it did not know has a default."""
    assert taken(json.dumps(FIRST)) == State(
        3, "text", [SlotState(1, 4, workers=[WorkerState(77, 5, 9.5)])], {"done": 0, "refused": 0}
    )


def test_what_a_newer_release_says_besides_is_passed_over() -> None:
    """It may be replaced by an older one."""
    assert taken(json.dumps({**FIRST, "more": 1})).configuration == "text"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps({**FIRST, "version": 2}),
        json.dumps({**FIRST, "kept": {"x": {"kind": "counter"}}}),
        json.dumps({**FIRST, "slots": [{"number": 1}]}),
    ],
)
def test_what_cannot_be_taken_over_is_refused(text: str) -> None:
    """In the trial, so that the old supervisor stays."""
    with pytest.raises(StateUnknown):
        taken(text)

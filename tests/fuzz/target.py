"""`python -m fuzz.target NAME FLAG...`: one target in this process, under libFuzzer, which ends the process."""

import logging
import sys

import atheris


def main() -> None:
    name = sys.argv.pop(1)
    logging.disable()  # of what is refused a million times
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=["gateway", "fuzz.targets"]):  # what a pattern hides, an oracle spells out
        from fuzz.targets import load

        once = load(name).once
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

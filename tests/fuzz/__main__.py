"""`python -m fuzz [--minutes N | --runs N] [TARGET ...]`: the targets under atheris, one process after another.

What is found stays as `regressions/TARGET/crash-*`, which the tests replay until it is mended and for ever after. The
corpus grows from run to run in `build/fuzz`.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from fuzz.targets import NAMES, load

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REGRESSIONS = HERE / "regressions"
SLOW, LARGE = 10, 16384  # seconds that one input may take; bytes of one, at most
PASSED = re.compile(r"^#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
PROGRESS = re.compile(r"#\d+\s")
GUESS = 0  # libFuzzer looks at a lot of inputs before it believes a length: with a limit it begins there


def prepare(name: str, folder: Path) -> Path:
    """The corpus to begin with, from the seeds; and their words."""
    target, corpus = load(name), folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words)
    (folder / f"{name}.words").write_text("".join(words))
    return corpus


def run(name: str, folder: Path, found: Path, *flags: str) -> tuple[int, str]:
    """The exit code, and what was said. atheris ends its process, so each target has one of its own.

    folder: of all corpora. found: where the input goes that was found.
    """
    corpus = prepare(name, folder)
    found.mkdir(parents=True, exist_ok=True)
    limits = (f"-timeout={SLOW}", f"-max_len={LARGE}", f"-len_control={GUESS}")
    told_of = (f"-artifact_prefix={found}/", f"-dict={folder / name}.words")
    command = [sys.executable, "-m", "fuzz.target", name, *told_of, *limits, *flags, str(corpus)]
    known = REGRESSIONS / name
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(ROOT)))}
    done = subprocess.run(
        [*command, *([str(known)] if known.is_dir() else [])],
        env=environ,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout + done.stderr


def told(name: str, code: int, said: str) -> str:
    """One line where nothing was found, else all that is needed to see it again."""
    passed = PASSED.search(said)
    if code == 0 and passed is not None:
        return f"{name}: {passed[1]} executions, {passed[2]} edges, {passed[3]} features, nothing found"
    lines = [line for line in said.splitlines() if not PROGRESS.match(line)]
    return f"{name}: FOUND SOMETHING\n" + "\n".join(lines[-40:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all of them if none")
    parser.add_argument("--minutes", type=float, default=10, help="for each target")
    parser.add_argument("--runs", type=int, help="of each target, instead of a time")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz", help="where the corpus is kept")
    asked = parser.parse_args()
    if unknown := set(asked.targets) - set(NAMES):
        parser.error(f"no target is called {', '.join(sorted(unknown))}")
    bound = f"-max_total_time={int(asked.minutes * 60)}" if asked.runs is None else f"-runs={asked.runs}"
    codes = []
    for name in asked.targets or NAMES:
        code, said = run(name, asked.folder, REGRESSIONS / name, bound)
        codes.append(code)
        print(told(name, code, said), flush=True)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())

"""Coverage-guided fuzzing of everything that reads bytes of strangers, and its findings, which stay.

`python -m fuzz` (with this folder's parent on the path) runs the targets under atheris; the tests here replay what was
found, and mutate for a short while without it.
"""

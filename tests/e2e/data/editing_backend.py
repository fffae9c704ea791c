"""A build backend whose build edits the file named by ``EDITED``, which a test puts above."""

import pathlib
import zipfile

FILES = {
    "slow.py": "",
    "slow-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: slow\nVersion: 1\n",
    "slow-1.dist-info/WHEEL": (
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ),
    "slow-1.dist-info/RECORD": "slow.py,,\n",
}


def build_wheel(directory, config_settings=None, metadata_directory=None):
    """PEP 517's hook."""
    pathlib.Path(EDITED).write_text("./slow\niniconfig==2.0.0\n")
    name = "slow-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(directory) / name, "w") as wheel:
        for path, content in FILES.items():
            wheel.writestr(path, content)
    return name

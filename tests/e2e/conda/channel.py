"""A conda channel made of real packages, on ``file://``.

Formats: docs.conda.io, "Package specification" (``info/index.json``, ``info/paths.json``) and the
``.conda`` format; RFC 8878 for Zstandard, of which a frame of uncompressed blocks is enough here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3".ljust(255, "_")
"""What packages hold where the prefix is to stand; no prefix may be longer."""

LARGEST_BLOCK = 128 * 1024
LEFT_OUT = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter"}


@dataclass
class Channel:
    """A channel, and what packages are in it."""

    path: Path
    subdir: str
    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def add(
        self,
        name: str,
        version: str = "1.0",
        *,
        build: str = "0",
        depends: Sequence[str] = (),
        files: Mapping[str, bytes | str | Path] | None = None,
        links: Mapping[str, str] | None = None,
        executables: Sequence[str] = (),
        noarch: Literal["generic", "python"] | None = "generic",
        entry_points: Sequence[str] = (),
        form: Literal["conda", "tar.bz2"] = "conda",
    ) -> Path:
        """Add a package, and index the channel; return the archive."""
        subdir = "noarch" if noarch else self.subdir
        contents = {path: _bytes(content) for path, content in (files or {}).items()}
        if not contents and not links:
            contents = {f"share/{name}.txt": f"{name} {version}\n".encode()}
        index = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": int(build.rpartition("_")[2]) if build[-1:].isdigit() else 0,
            "depends": list(depends),
            "subdir": subdir,
            "timestamp": 1_700_000_000_000,
            **({"noarch": noarch} if noarch else {}),
        }
        info: dict[str, bytes] = {
            "info/index.json": json.dumps(index).encode(),
            "info/paths.json": json.dumps(_paths(contents, links or {})).encode(),
            "info/files": "\n".join((*contents, *(links or {}))).encode(),
            "info/about.json": b"{}",
        }
        if noarch == "python":
            link = {"noarch": {"type": "python", "entry_points": list(entry_points)}}
            info["info/link.json"] = json.dumps({**link, "package_metadata_version": 1}).encode()
        stem = f"{name}-{version}-{build}"
        archive = self.path / subdir / f"{stem}.{form}"
        archive.parent.mkdir(parents=True, exist_ok=True)
        inside = _tar(contents, links or {}, executables)
        if form == "tar.bz2":
            whole = io.BytesIO()
            with tarfile.open(fileobj=whole, mode="w:bz2", compresslevel=1) as tar:
                _fill(tar, {**info, **contents}, links or {}, executables)
            archive.write_bytes(whole.getvalue())
        else:
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
                file.writestr(f"pkg-{stem}.tar.zst", zstandard(inside))
                file.writestr(f"info-{stem}.tar.zst", zstandard(_tar(info, {}, ())))
        content = archive.read_bytes()
        self.records.setdefault(subdir, {})[archive.name] = {
            **index,
            "md5": hashlib.md5(content).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        self.index()
        return archive

    def link(self, other: Channel) -> None:
        """Add the packages of another channel, and index this one."""
        for subdir, records in other.records.items():
            (self.path / subdir).mkdir(parents=True, exist_ok=True)
            for name, record in records.items():
                os.link(other.path / subdir / name, self.path / subdir / name)
                self.records.setdefault(subdir, {})[name] = record
        self.index()

    def add_python(self) -> None:
        """Add the interpreter at hand, as the package ``python``."""
        major, minor = sys.version_info[:2]
        name = f"python{major}.{minor}"
        base = Path(sys.base_prefix)
        library = base / "lib" / name
        files: dict[str, bytes | str | Path] = {
            f"lib/{name}/{path.relative_to(library)}": path
            for path in library.rglob("*")
            if path.is_file()
            and not LEFT_OUT & set(path.relative_to(library).parts)
            and not path.relative_to(library).parts[0].startswith("config-")
            and path.name != "EXTERNALLY-MANAGED"
        }
        files[f"bin/{name}"] = (base / "bin" / name).resolve()
        files |= {f"lib/{one.name}": one for one in (base / "lib").glob(f"lib{name}.so.*")}
        data = next(path for path in files if "_sysconfigdata_" in path)
        text = Path(str(files[data])).read_text(encoding="utf-8")
        files[data] = text.replace(str(base), PLACEHOLDER)
        files["share/binary-with-prefix"] = b"\0\1" + PLACEHOLDER.encode() + b"/lib\0\2\xff"
        files[f"lib/{name}/site-packages/README.txt"] = "packages go here\n"
        self.add(
            "python",
            "{}.{}.{}".format(*sys.version_info[:3]),
            files=files,
            links={"bin/python": name, "bin/python3": name},
            executables=[f"bin/{name}"],
            noarch=None,
        )

    def index(self) -> None:
        """Write the ``repodata.json`` of each subdirectory."""
        for subdir in {self.subdir, "noarch"}:
            records = self.records.get(subdir, {})
            folder = self.path / subdir
            folder.mkdir(parents=True, exist_ok=True)
            document = {
                "info": {"subdir": subdir},
                "packages": {n: r for n, r in records.items() if n.endswith(".tar.bz2")},
                "packages.conda": {n: r for n, r in records.items() if n.endswith(".conda")},
                "repodata_version": 1,
            }
            (folder / "repodata.json").write_text(json.dumps(document), encoding="utf-8")


def zstandard(content: bytes) -> bytes:
    """Return a Zstandard frame with a content, uncompressed."""
    frame = io.BytesIO()
    # Magic number; frame header: single segment, eight bytes of content size (3.1.1.1).
    frame.write(b"\x28\xb5\x2f\xfd" + b"\xe0" + len(content).to_bytes(8, "little"))
    starts = range(0, len(content), LARGEST_BLOCK) or [0]
    for start in starts:
        block = content[start : start + LARGEST_BLOCK]
        is_last = start + LARGEST_BLOCK >= len(content)
        frame.write((is_last | len(block) << 3).to_bytes(3, "little") + block)
    return frame.getvalue()


def _bytes(content: bytes | str | Path) -> bytes:
    if isinstance(content, Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


def _paths(contents: Mapping[str, bytes], links: Mapping[str, str]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for path, content in contents.items():
        entry: dict[str, Any] = {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        if PLACEHOLDER.encode() in content:
            entry["prefix_placeholder"] = PLACEHOLDER
            entry["file_mode"] = "binary" if b"\0" in content else "text"
        entries.append(entry)
    for path, target in links.items():
        content = contents[str(Path(path).parent / target)]
        entries.append(
            {
                "_path": path,
                "path_type": "softlink",
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_in_bytes": len(content),
            }
        )
    return {"paths": entries, "paths_version": 1}


def _tar(
    contents: Mapping[str, bytes], links: Mapping[str, str], executables: Sequence[str]
) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        _fill(tar, contents, links, executables)
    return whole.getvalue()


def _fill(
    tar: tarfile.TarFile,
    contents: Mapping[str, bytes],
    links: Mapping[str, str],
    executables: Sequence[str],
) -> None:
    for path, content in contents.items():
        member = tarfile.TarInfo(path)
        member.size = len(content)
        executable = path in executables or path.startswith("bin/")
        member.mode = 0o755 if executable else 0o644
        tar.addfile(member, io.BytesIO(content))
    for path, target in links.items():
        member = tarfile.TarInfo(path)
        member.type, member.linkname = tarfile.SYMTYPE, target
        tar.addfile(member)

"""Requirements files as pip's reference defines them."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.requirements import (
    HONOURED_BY_UV,
    Kind,
    Requirements,
    read_requirements,
    unsupported_by_uv,
)


def read(root: Path, content: str | bytes, **environ: str) -> Requirements:
    path = root / "requirements.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_requirements([str(path)], files=DiskFiles(), environ=environ)


def texts(found: Requirements) -> list[str]:
    return [one.text for one in found.entries]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("attrs\n# comment\n  # indented\niniconfig # trailing\n", ["attrs", "iniconfig"]),
        ("attrs==\\\n1.0\n", ["attrs==1.0"]),
        ("attrs # one \\\niniconfig\n", ["attrs"]),
        ("x @ https://host/x.zip#sha1=aa\n", ["x @ https://host/x.zip#sha1=aa"]),
        ("attrs [a,b] >=1 ; python_version<'4'\n", ["attrs [a,b] >=1 ; python_version<'4'"]),
        ("./local\n../up.whl\n/abs/x\n", ["./local", "../up.whl", "/abs/x"]),
        ("git+https://host/x@v1#egg=x\n", ["git+https://host/x@v1#egg=x"]),
        ("\r\nattrs\r\n", ["attrs"]),
        ("", []),
    ],
)
def test_lines_are_read_as_pip_reads_them(
    tmp_path: Path, content: str, expected: list[str]
) -> None:
    assert texts(read(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("encoded", "named"),
    [
        (codecs.BOM_UTF8 + b"attrs", "attrs"),
        (codecs.BOM_UTF16_LE + "attrs".encode("utf-16-le"), "attrs"),
        (codecs.BOM_UTF16_BE + "attrs".encode("utf-16-be"), "attrs"),
        (codecs.BOM_UTF32_LE + "attrs".encode("utf-32-le"), "attrs"),
        (b"# -*- coding: latin-1 -*-\n./d\xe9", "./d\xe9"),
    ],
)
def test_encodings_are_told_by_a_bom_or_a_coding_line(
    tmp_path: Path, encoded: bytes, named: str
) -> None:
    assert texts(read(tmp_path, encoded)) == [named]


def test_variables_are_expanded_where_they_are_set(tmp_path: Path) -> None:
    found = read(tmp_path, "x @ https://${TOKEN}@host/${UNSET}/$OTHER/${lower}\n", TOKEN="secret")
    assert texts(found) == ["x @ https://secret@host/${UNSET}/$OTHER/${lower}"]
    assert set(found.variables) == {"TOKEN", "UNSET"}


@pytest.mark.parametrize("spelling", ["-r {}", "-r{}", "--requirement {}", "--requirement={}"])
def test_includes_are_relative_to_the_including_file(tmp_path: Path, spelling: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.txt").write_text("-c b.txt\nattrs\n")
    (tmp_path / "sub/b.txt").write_text("attrs<2\n")
    found = read(tmp_path, spelling.format("sub/a.txt") + "\n")
    assert [Path(one).name for one in found.files] == ["requirements.txt", "a.txt", "b.txt"]
    assert [(one.text, one.is_constraint) for one in found.entries] == [
        ("attrs<2", True),
        ("attrs", False),
    ]


def test_an_include_from_elsewhere_is_recorded_and_not_followed(tmp_path: Path) -> None:
    found = read(tmp_path, "-r https://host/requirements.txt\n")
    assert found.remote == ("https://host/requirements.txt",)
    assert len(found.files) == 1


def test_a_cycle_names_its_chain(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\n")
    with pytest.raises(ManifestError) as raised:
        read(tmp_path, "-r a.txt\n")
    assert raised.value.where == "b.txt:1"
    assert "a.txt → b.txt → a.txt" in raised.value.what


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("attrs\na b\n", "requirements.txt:2", "PEP 508"),
        ("attrs\n\n-r gone.txt\n", "requirements.txt:3", "gone.txt does not exist"),
        ("--unknown x\n", "requirements.txt:1", "'--unknown'"),
        ("--index-url\n", "requirements.txt:1", "expected a value after --index-url"),
        ("attrs --hash=md5:1\n", "requirements.txt:1", "sha256"),
        ("attrs \\\n --hash='x\n", "requirements.txt:1", "quot"),
        (b"ok\n\xff\xfe\xfa", "requirements.txt:2", "utf-8"),
        (b"# coding: no-such\n", "requirements.txt", "no-such"),
    ],
)
def test_a_fault_is_said_with_file_and_line(
    tmp_path: Path, content: str | bytes, where: str, what: str
) -> None:
    with pytest.raises(ManifestError) as raised:
        read(tmp_path, content)
    assert raised.value.where == where
    assert what in raised.value.what


def test_options_have_their_long_names_and_values(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "-i https://a\n--extra-index-url=https://b\n-f /links\n--no-index\n--pre\n"
        "attrs==1 --hash=sha256:aa --hash=sha256:bb --config-settings=k=v\n",
    )
    assert [(one.name, one.value) for one in found.options] == [
        ("--index-url", "https://a"),
        ("--extra-index-url", "https://b"),
        ("--find-links", "/links"),
        ("--no-index", ""),
        ("--pre", ""),
        ("--config-settings", "k=v"),
    ]
    assert found.entries[0].hashes == ("sha256:aa", "sha256:bb")
    assert found.is_pinned
    unsupported = [one.name for one in unsupported_by_uv(found)]
    assert unsupported == ["--pre", "--config-settings"]


def test_local_projects_are_known_by_their_directories(tmp_path: Path) -> None:
    found = read(tmp_path, "-e ./one[dev]\n./two\nthree @ file:///abs/three\n-e git+https://h/x\n")
    assert found.local_directories == (str(tmp_path / "one"), str(tmp_path / "two"), "/abs/three")
    assert [one.kind for one in found.entries] == [
        Kind.EDITABLE,
        Kind.PATH,
        Kind.URL,
        Kind.EDITABLE,
    ]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text(alphabet="ab=-r ce\\\n#${}A[]:/@.'\";<>!~,", max_size=60).map(str.encode),
    )
)
def test_any_bytes_are_requirements_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    try:
        read(tmp_path, content, A="x")
    except ManifestError:
        pass


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}", fullmatch=True)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pins=st.lists(st.tuples(NAMES, VERSIONS), max_size=8))
def test_what_is_written_is_read_back(tmp_path: Path, pins: list[tuple[str, str]]) -> None:
    lines = [f"{name}=={version}" for name, version in pins]
    found = read(tmp_path, "\n".join(lines))
    assert texts(found) == lines
    assert all(one.is_exact for one in found.entries)


PIP = """
import json, sys
from pip._internal.network.session import PipSession
from pip._internal.req.req_file import parse_requirements
found = parse_requirements(sys.argv[1], session=PipSession())
print(json.dumps([[one.requirement.strip(), one.constraint, one.is_editable] for one in found]))
"""

FOR_BOTH = [
    "attrs\n# x\niniconfig #y\n",
    "attrs ; python_version > '3'\n",
    "a==1 \\\n  --hash=sha256:" + "a" * 64 + "\n",
    "-e ./x\n./y\n",
    "x @ https://h/x.zip#egg=x\n",
    "one\\\n# comment after a continuation\ntwo\n",
    "--pre\n--no-binary :all:\nthree>=1,<2\n",
    "four[extra] == 2.*\n\n\n",
]


@pytest.mark.parametrize("content", FOR_BOTH)
def test_pip_itself_reads_the_same(tmp_path: Path, content: str) -> None:
    pytest.importorskip("pip")
    found = read(tmp_path, content)
    done = subprocess.run(
        [sys.executable, "-c", PIP, str(tmp_path / "requirements.txt")],
        capture_output=True,
        text=True,
        check=True,
        env={"PIP_CONFIG_FILE": "/dev/null"},
    )
    ours = [[one.text, one.is_constraint, one.kind is Kind.EDITABLE] for one in found.entries]
    assert json.loads(done.stdout) == ours


OPTIONS = {
    "--index-url": "--index-url https://x.invalid/",
    "--extra-index-url": "--extra-index-url https://x.invalid/",
    "--no-index": "--no-index",
    "--find-links": "--find-links .",
    "--no-binary": "--no-binary :all:",
    "--only-binary": "--only-binary :all:",
    "--require-hashes": "--require-hashes",
    "--pre": "--pre",
    "--prefer-binary": "--prefer-binary",
    "--trusted-host": "--trusted-host x.invalid",
    "--use-feature": "--use-feature fast-deps",
    "--all-releases": "--all-releases x",
    "--only-final": "--only-final x",
}


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_uv_itself_honours_what_we_say_it_does(tmp_path: Path, option: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    (tmp_path / "r.txt").write_text(OPTIONS[option] + "\n")
    done = subprocess.run(
        [
            uv,
            "pip",
            "install",
            "--offline",
            "--no-config",
            "--dry-run",
            "-r",
            "r.txt",
            "--python",
            sys.executable,
        ],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    refused = "Ignoring unsupported option" in done.stderr or "error: Unexpected" in done.stderr
    assert refused == (option not in HONOURED_BY_UV), done.stderr

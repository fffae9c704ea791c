"""Requirements files as pip's reference defines them."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.requirements import (
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
        ("--no-index=1\n", "requirements.txt:1", "expected no value for --no-index"),
        ("--p\n", "requirements.txt:1", "'--p'"),
        ("-r a\0b\n", "requirements.txt:1", "expected a path"),
        ("http://[x\n", "requirements.txt:1", "expected a URL"),
        ("a;" + "(" * 5000 + "\n", "requirements.txt:1", "nested too deeply"),
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
    "five --no-index\n",
    '-e ./x ; python_version < "3"\n',
    "--no-index six\n",
    "--extra-index https://x.invalid\n",
    "--hash=sha256:aa\n",
    "-\nseven -\n-- eight\n",
    "\\ni\\\\\nne\n",
    "-cin.txt\nten\n",
]


@pytest.mark.parametrize("content", FOR_BOTH)
def test_pip_itself_reads_the_same(tmp_path: Path, content: str) -> None:
    pytest.importorskip("pip")
    (tmp_path / "in.txt").write_text("-r also.txt\nless<1\n")
    (tmp_path / "also.txt").write_text("a-requirement-also-below-constraints\n")
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


LINES = st.lists(
    st.sampled_from(
        [
            *("name", "other==1", " ; python_version > '3'", "[a]", "./x", "-e", "-e ./p", "--pre"),
            *(" ", " ", "\t", "#", " # x", "\\", "\\\n", "\n", "\n", "\r\n", "\x0c", "\u2028"),
            *("${A}", "${B}", "$A", "--hash=sha256:aa", "--index-url", "=", "https://h/x.zip"),
            *("--no-ind", "--bad", "-i", "-f.", "'", '"', "é", "-", "--"),
        ]
    ),
    max_size=12,
).map("".join)

MANY = """
import json, sys
from pip._internal.network.session import PipSession
from pip._internal.req.req_file import parse_requirements
for path in sys.argv[1:]:
    try:
        found = list(parse_requirements(path, session=PipSession()))
    except Exception:
        print("null")
    else:
        print(json.dumps([[one.requirement.strip(), one.is_editable] for one in found]))
"""


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],  # each example is a process: shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(contents=st.lists(LINES, min_size=50, max_size=50))
def test_pip_itself_reads_any_lines_the_same(tmp_path: Path, contents: list[str]) -> None:
    pytest.importorskip("pip")
    paths = [tmp_path / f"{number}.txt" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content.encode())
    done = subprocess.run(
        [sys.executable, "-c", MANY, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        env={"PIP_CONFIG_FILE": "/dev/null", "A": "value"},
    )
    for path, content, line in zip(paths, contents, done.stdout.splitlines(), strict=True):
        if content.count("-e") > 1 or "-e=" in content:
            continue  # of several on one line pip takes the first; `=` belongs to its value
        theirs = json.loads(line)
        try:
            found = read_requirements([str(path)], files=DiskFiles(), environ={"A": "value"})
        except ManifestError as error:
            fault = error.what
        else:
            # A value in quotes may end with blanks.
            ours = [[one.text.strip(), one.kind is Kind.EDITABLE] for one in found.entries]
            assert ours == theirs
            continue
        # What a name may be, pip only finds when it resolves.
        assert theirs is None or "PEP 508" in fault, content


def test_an_equals_sign_that_is_a_word_of_its_own_is_the_value_as_pip_has_it(
    tmp_path: Path,
) -> None:
    assert texts(read(tmp_path, "-e =\n")) == ["="]
    assert texts(read(tmp_path, "-e=./p\n")) == ["./p"]


def test_a_long_blank_or_a_row_of_brackets_takes_no_time(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "a" + " " * 300_000 + "# c")) == ["a"]
    with pytest.raises(ManifestError):
        read(tmp_path, "[" * 300_000)


def test_a_file_that_many_others_include_is_read_once(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n" * 2)
    (tmp_path / "60.txt").write_text("attrs\n")
    assert texts(read(tmp_path, "-r 0.txt\n-c 60.txt\n")) == ["attrs", "attrs"]


def test_editable_requirements_may_say_their_names(tmp_path: Path) -> None:
    found = read(tmp_path, "-e 'one @ file:///abs/one'\n-e git+https://h/x#egg=two\n-e three\n")
    assert [(one.name, one.path) for one in found.entries] == [
        ("one", "/abs/one"),
        ("two", None),
        (None, str(tmp_path / "three")),
    ]


@pytest.mark.parametrize(
    ("content", "unsupported"),
    [
        (b"# coding: latin-1\n./d\xe9\n", ["coding"]),
        (b"# coding: latin-1\n./d\n", []),
        ("# coding: utf-8\n./d\xe9\n".encode(), []),
        (codecs.BOM_UTF16_LE + "attrs\n".encode("utf-16-le"), []),
        (codecs.BOM_UTF32_LE + "attrs\n".encode("utf-32-le"), ["coding"]),
    ],
)
def test_uv_itself_reads_the_encodings_that_we_say_it_does(
    tmp_path: Path, content: bytes, unsupported: list[str]
) -> None:
    found = read(tmp_path, content)
    assert [one.name for one in unsupported_by_uv(found)] == unsupported
    said = uv_says(tmp_path, "requirements.txt")
    assert ("valid UTF-8" in said or "Unexpected" in said) == bool(unsupported), said


UNSUPPORTED = [
    "--pre",
    "--prefer-binary",
    "--trusted-host x.invalid",
    "--use-feature fast-deps",
    "--all-releases x",
    "--only-final x",
    "--no-require-hashes",
    "--pypi-url https://x.invalid/",
    "--extra-index https://x.invalid/",
    "-ihttps://x.invalid/",
    "-rempty.txt",
    "-cempty.txt",
    "-e./local",
    "--hash=sha256:aa",
    "-C a=b",
    "--find-links . --no-index",
    "attrs --config-settings=a=b",
    "attrs --global-option=a",
    "attrs --no-index",
]
SUPPORTED = [
    "-i https://x.invalid/",
    "-i=https://x.invalid/",
    "--index-url https://x.invalid/",
    "--extra-index-url=https://x.invalid/",
    "--no-index",
    "-f .",
    "--find-links .",
    "--no-binary :all:",
    "--only-binary :all:",
    "--require-hashes",
    "-r empty.txt",
    "--requirement=empty.txt",
    "-c empty.txt",
    "--no-index --find-links .",
]


def uv_says(directory: Path, name: str) -> str:
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "uv", "pip", "install", "--offline", "--no-config"),
            *("--dry-run", "-r", name, "--python", sys.executable),
        ],
        cwd=directory,
        env={"HOME": str(directory), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


@pytest.mark.parametrize("line", [*UNSUPPORTED, *SUPPORTED])
def test_uv_itself_honours_what_we_say_it_does(tmp_path: Path, line: str) -> None:
    (tmp_path / "empty.txt").touch()
    found = read(tmp_path, line + "\n")
    said = uv_says(tmp_path, "requirements.txt")
    refused = "Ignoring unsupported option" in said or "error: " in said
    assert refused == (line in UNSUPPORTED), said
    assert bool(unsupported_by_uv(found)) == refused


@pytest.mark.parametrize(
    "line",
    [
        "attrs==${TOKEN} what",
        "--unknown ${TOKEN}",
        "attrs @ https://user:${TOKEN}@[host/a.whl",
        "attrs 'unclosed ${TOKEN}",
        "attrs --hash=md5:${TOKEN}",
        "https://${TOKEN}@[::1/a.whl",
        "-r ${TOKEN}\0",
        "--pre=${TOKEN}",
    ],
)
def test_no_error_shows_the_value_of_a_variable(line: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(line + "\n")
    with pytest.raises(ManifestError) as caught:
        read_requirements([str(path)], files=DiskFiles(), environ={"TOKEN": "s3cr'et\\value"})
    assert "s3cr" not in str(caught.value)
    assert "value" not in caught.value.what.replace("a value", "").replace("no value", "")


def test_no_error_shows_the_user_of_a_url(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("attrs @ https://user:secret@[host/a.whl\n")
    with pytest.raises(ManifestError) as caught:
        read_requirements([str(path)], files=DiskFiles(), environ={})
    assert "secret" not in str(caught.value)


def test_archives_and_directories_of_links_are_told_from_projects(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(
        "--find-links wheels\n--find-links https://host/links\n"
        "./a-1.0.WHL\n./b.tar.gz\n./local\nhttps://host/c.whl\n"
    )
    found = read_requirements([str(path)], files=DiskFiles(), environ={})
    top = str(tmp_path)
    assert found.local_archives == (f"{top}/a-1.0.WHL", f"{top}/b.tar.gz")
    assert found.local_directories == (f"{top}/local",)
    assert found.local_link_directories == (f"{top}/wheels",)

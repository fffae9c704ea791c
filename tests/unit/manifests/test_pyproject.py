import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError, NixpyError
from nixpy.files import DiskFiles
from nixpy.manifests.pyproject import (
    IncludeGroup,
    Pyproject,
    group_requirements,
    local_dependencies,
    read_pyproject,
)


class Content:
    """Every file has this content."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, path: str) -> bytes | None:  # noqa: ARG002
        return self.content

    def names(self, directory: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()


def read(content: str) -> Pyproject:
    pyproject = read_pyproject("/p", Content(content.encode()))
    assert pyproject is not None
    return pyproject


def test_a_directory_without_the_file_has_none(tmp_path: Path) -> None:
    assert read_pyproject(str(tmp_path), DiskFiles()) is None


def test_everything_that_bears_on_an_environment_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"

        [project]
        name = "My.Project"
        requires-python = ">=3.10,<4"
        dynamic = ["version"]
        dependencies = ["httpx[http2]>=0.27 ; python_version > '3.10'", "x @ file:///x"]
        optional-dependencies = { Docs = ["sphinx"], all = [] }

        [dependency-groups]
        test = ["pytest"]
        Dev_all = ["ruff", { include-group = "TEST" }]

        [tool.uv]
        conflicts = [[{ package = "a" }, { package = "b", extra = "x" }]]
        [tool.uv.workspace]
        members = ["packages/*"]
        exclude = ["packages/old"]
        [tool.uv.sources]
        a = { path = "../a", editable = true }
        b = [{ path = "/b" }, { git = "https://example.org" }, { path = "../a" }]
        c = { workspace = true }
        """
    )
    directory = str(tmp_path)
    assert read_pyproject(directory, DiskFiles()) == Pyproject(
        path=f"{directory}/pyproject.toml",
        directory=directory,
        shown_as="pyproject.toml",
        name="My.Project",
        has_project=True,
        requires_python=">=3.10,<4",
        extras=("Docs", "all"),
        groups=(("test", ("pytest",)), ("Dev_all", ("ruff", IncludeGroup("TEST")))),
        has_dependency_groups=True,
        has_uv_table=True,
        has_package_conflicts=True,
        is_workspace_root=True,
        workspace_members=("packages/*",),
        workspace_exclude=("packages/old",),
        source_paths=(os.path.join(os.path.dirname(directory), "a"), "/b"),
        dynamic=("version",),
        build_backend="hatchling.build",
    )


@pytest.mark.parametrize(
    ("content", "declares"),
    [
        ("", False),
        ("[tool.ruff]", False),
        ("[build-system]", False),
        ("[project]", True),
        ("[dependency-groups]", True),
        ("[tool.poetry]", True),
        ("[tool.uv]", False),
    ],
)
def test_what_declares_dependencies_is_a_manifest(content: str, declares: bool) -> None:
    assert read(content).declares_dependencies is declares


@pytest.mark.parametrize(
    ("content", "sets"),
    [
        ("[tool.uv]\nindex-url = 'x'", True),
        ("[tool.uv]\nextra-index-url = ['x']", True),
        ("[tool.uv]\nfind-links = ['x']", True),
        ("[tool.uv]\nno-index = true", True),
        ("[tool.uv]\nno-index = false", False),
        ("[[tool.uv.index]]\nurl = 'x'", True),
        ("[tool.uv.pip]\nindex-url = 'x'", True),
        ("[tool.uv.pip]\nno-index = true", True),
        ("[tool.uv.pip]\nstrict = true", False),
        ("[tool.uv]\npip = 1", False),
        ("[tool.ruff]", False),
    ],
)
def test_an_index_that_uv_obeys_is_noticed(content: str, sets: bool) -> None:
    assert read(content).sets_uv_index is sets


@pytest.mark.parametrize(
    ("conflicts", "names_packages"),
    [
        ("[[{ package = 'a' }, { package = 'b' }]]", True),
        ("[[{ extra = 'a' }, { extra = 'b' }], [{ package = 'a' }]]", True),
        ("[[{ package = 'a', extra = 'x' }, { package = 'b', group = 'y' }]]", False),
        ("[[{ group = 'a' }, { extra = 'b' }]]", False),
        ("[]", False),
        ("['what uv will refuse']", False),
    ],
)
def test_a_conflict_between_whole_packages_is_noticed(conflicts: str, names_packages: bool) -> None:
    assert read(f"[tool.uv]\nconflicts = {conflicts}").has_package_conflicts is names_packages


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("project = 1", "pyproject.toml: project: expected a table, got an integer"),
        (
            "[project]\nname = 'a b'",
            "pyproject.toml: project.name: expected the name of a distribution, got 'a b'",
        ),
        (
            "[project]\nrequires-python = '3.10'",
            (
                "pyproject.toml: project.requires-python: expected a version specifier: "
                "invalid specifier: '3.10'"
            ),
        ),
        (
            "[project]\ndependencies = ['a', 'b', 'c >> 1']",
            (
                "pyproject.toml: project.dependencies[2]: expected semicolon (after name with no "
                "version specifier) or end, at '>> 1' of 'c >> 1'"
            ),
        ),
        (
            "[project]\noptional-dependencies = { x = ['a ; os_name'] }",
            "pyproject.toml: project.optional-dependencies.x[0]: ",
        ),
        (
            "[project]\ndependencies = [1]",
            "pyproject.toml: project.dependencies[0]: expected a string, got an integer",
        ),
        (
            "[dependency-groups]\na = [{ include = 'b' }]",
            (
                "pyproject.toml: dependency-groups.a[0]: expected a requirement or "
                "{ include-group = NAME }"
            ),
        ),
        (
            "[dependency-groups]\na = ['x', { include-group = 'b' }]",
            "pyproject.toml: dependency-groups.a[1]: includes b, which is no dependency group",
        ),
        (
            "[dependency-groups]\na = [{ include-group = 'a' }]",
            (
                "pyproject.toml: dependency-groups.a: cyclic dependency group include while "
                "resolving a: a includes itself"
            ),
        ),
        (
            "[dependency-groups]\na-b = []\nA_b = []",
            "pyproject.toml: dependency-groups.A_b: the same group as a-b",
        ),
        ("[dependency-groups]\na = ['x[']", "pyproject.toml: dependency-groups.a[0]: "),
        (
            "[tool.uv.workspace]\nmembers = ['a/[b']",
            "pyproject.toml: tool.uv.workspace.members[0]: not a glob: a bracket that is not",
        ),
        (
            "[tool.uv.workspace]\nexclude = ['a**']",
            "pyproject.toml: tool.uv.workspace.exclude[0]: not a glob: ** must be a whole part",
        ),
        ("[project", "pyproject.toml:1: malformed TOML: "),
    ],
)
def test_a_fault_names_file_and_key_in_one_line(content: str, fault: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(content)
    assert str(caught.value).startswith(fault)
    assert "\n" not in str(caught.value)


def test_groups_that_include_each_other_in_a_long_row_are_an_error_or_resolved() -> None:
    lines = [f"g{n} = [{{ include-group = 'g{n + 1}' }}]" for n in range(3000)]
    with pytest.raises(ManifestError, match="includes too many groups in a row"):
        read("\n".join(["[dependency-groups]", *lines, "g3000 = ['x']"]))


def test_a_group_is_resolved_with_what_it_includes() -> None:
    pyproject = read(
        """
        [dependency-groups]
        test = ["pytest>8", "coverage"]
        Lint = ["ruff"]
        dev = ["ipython", { include-group = "TEST" }, { include-group = "lint" }]
        """
    )
    assert pyproject.dependency_groups == ("test", "Lint", "dev")
    assert group_requirements(pyproject, "DEV") == ("ipython", "pytest>8", "coverage", "ruff")
    assert group_requirements(pyproject, "lint") == ("ruff",)
    with pytest.raises(ManifestError, match="there is no dependency group docs"):
        group_requirements(pyproject, "docs")


def test_local_dependencies_are_followed_around_cycles(tmp_path: Path) -> None:
    def write(name: str, *paths: str) -> None:
        (tmp_path / name).mkdir()
        sources = "".join(f"s{n} = {{ path = '{path}' }}\n" for n, path in enumerate(paths))
        (tmp_path / name / "pyproject.toml").write_text(f"[tool.uv.sources]\n{sources}")

    write("app", "../lib", "../missing", "../some.whl", ".")
    write("lib", "../app", "../base", "../linked")
    write("base", str(tmp_path / "lib"))
    (tmp_path / "linked").symlink_to("base")
    app = read_pyproject(str(tmp_path / "app"), DiskFiles())
    assert app is not None
    found = local_dependencies(app, DiskFiles())
    assert [one.shown_as for one in found] in (
        ["../base/pyproject.toml", "../lib/pyproject.toml"],
        ["../lib/pyproject.toml", "../linked/pyproject.toml"],
    )


def test_a_fault_of_a_local_dependency_says_which(tmp_path: Path) -> None:
    for name, content in (
        ("app", "[tool.uv.sources]\nlib = { path = '../lib' }"),
        ("lib", "[project]\nname = 1"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(content)
    app = read_pyproject(str(tmp_path / "app"), DiskFiles())
    assert app is not None
    with pytest.raises(ManifestError, match=r"^\.\./lib/pyproject\.toml: project\.name: expected"):
        local_dependencies(app, DiskFiles())


def reads_or_refuses(content: bytes) -> None:
    said = ""
    try:
        pyproject = read_pyproject("/p", Content(content))
        assert pyproject is not None
        for group in pyproject.dependency_groups:
            group_requirements(pyproject, group)
    except NixpyError as error:
        said = str(error)
    assert "\n" not in said


@given(st.binary())
def test_any_bytes_are_a_pyproject_or_an_error_of_ours(content: bytes) -> None:
    reads_or_refuses(content)


HEADERS = st.sampled_from(
    ["project", "dependency-groups", "tool.uv", "tool.uv.workspace", "tool.uv.sources", "tool"]
)
KEYS = st.sampled_from(
    [
        "name",
        "dependencies",
        "optional-dependencies",
        "requires-python",
        "dynamic",
        "a",
        "A",
        "b",
        "uv",
        "poetry",
        "conflicts",
        "members",
        "exclude",
        "path",
        "include-group",
        "pip",
        "index",
    ]
)
VALUES = st.recursive(
    st.sampled_from(
        [
            "1",
            "true",
            "1.5",
            "2020-01-01",
            "''",
            "'a'",
            "'b ; x'",
            "'>=3'",
            "'a/**'",
            "'['",
            "'[z-a]'",
            "'[!]'",
            "'[]]'",
            "'***'",
            "{ include-group = 'a' }",
            '"\\u0000"',
            '"\\n"',
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(KEYS, inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"{k} = {v}" for k, v in items.items()) + "}"
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(HEADERS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_any_shape_of_the_known_tables_is_read_or_an_error_of_ours(
    tables: dict[str, dict[str, str]],
) -> None:
    lines = []
    for header, entries in tables.items():
        lines.append(f"[{header}]")
        lines.extend(f"{key} = {value}" for key, value in entries.items())
    reads_or_refuses("\n".join(lines).encode())


REQUIREMENTS = st.lists(
    st.from_regex(r"[a-z]([a-z0-9]{0,5}[a-z0-9])?(>=[0-9]{1,3})?", fullmatch=True), max_size=4
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), REQUIREMENTS, max_size=4))
def test_groups_and_extras_survive_the_round_trip(tables: dict[str, list[str]]) -> None:
    entries = "\n".join(f"{name} = {requirements!r}" for name, requirements in tables.items())
    pyproject = read(
        f"[project]\nname = 'x'\n[project.optional-dependencies]\n{entries}\n"
        f"[dependency-groups]\n{entries}\n"
    )
    assert pyproject.extras == pyproject.dependency_groups == tuple(tables)
    for name, requirements in tables.items():
        assert group_requirements(pyproject, name) == tuple(requirements)

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.workspace import find_workspace, glob_fault


class Tree:
    """Writes projects below a directory and asks for workspaces in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def project(self, name: str = ".", more: str = "") -> None:
        (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / name / "pyproject.toml").write_text(f"[project]\nname = 'x'\n{more}\n")

    def workspace(self, *members: str, exclude: tuple[str, ...] = (), root: str = ".") -> None:
        self.project(
            root, f"[tool.uv.workspace]\nmembers = {list(members)}\nexclude = {list(exclude)}"
        )

    def members(self, start: str = ".") -> list[str] | None:
        """Return the root's name and the members' names, relative to the tree."""
        found = find_workspace(str(self.root / start), DiskFiles())
        if found is None:
            return None
        assert found.root in found.members
        names = [os.path.relpath(member, self.root) for member in found.members]
        return [os.path.relpath(found.root, self.root), *sorted(set(names) - {"."})]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


# The tables below were tried with uv 0.13.8 (uv workspace list --paths).


def test_a_project_on_its_own_has_no_workspace(tree: Tree) -> None:
    assert tree.members() is None
    tree.project()
    assert tree.members() is None


def test_root_and_member_find_the_same_workspace(tree: Tree) -> None:
    tree.workspace("packages/*")
    tree.project("packages/a")
    tree.project("packages/b")
    (tree.root / "packages/file").write_text("")
    (tree.root / "packages/empty").mkdir()
    expected = [".", "packages/a", "packages/b"]
    assert tree.members() == tree.members("packages/a") == expected


def test_a_directory_below_a_member_belongs_to_it(tree: Tree) -> None:
    tree.workspace("packages/*")
    tree.project("packages/a")
    (tree.root / "packages/a/src").mkdir()
    assert tree.members("packages/a/src") == [".", "packages/a"]


def test_a_root_without_a_project_is_a_root(tree: Tree) -> None:
    (tree.root / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = ['a']\n")
    tree.project("a")
    assert tree.members() == tree.members("a") == [".", "a"]


def test_an_excluded_directory_is_on_its_own(tree: Tree) -> None:
    tree.workspace("./packages/*/", exclude=("packages/b",))
    tree.project("packages/a")
    tree.project("packages/b")
    assert tree.members() == [".", "packages/a"]
    assert tree.members("packages/b") is None


def test_an_unmanaged_project_is_no_member(tree: Tree) -> None:
    tree.workspace("*")
    tree.project("a")
    tree.project("u", "[tool.uv]\nmanaged = false")
    assert tree.members() == [".", "a"]
    assert tree.members("u") is None


@pytest.mark.parametrize("between", ["[project]\nname = 'y'\n", "[tool.ruff]\n"])
def test_the_next_pyproject_above_decides_alone(tree: Tree, between: str) -> None:
    tree.workspace("packages/a/deep")
    tree.project("packages/a/deep")
    assert tree.members("packages/a/deep") == [".", "packages/a/deep"]
    (tree.root / "packages/pyproject.toml").write_text(between)
    assert tree.members("packages/a/deep") is None
    assert tree.members() == [".", "packages/a/deep"]


def test_a_file_without_project_looks_for_no_workspace_above(tree: Tree) -> None:
    tree.workspace("*")
    (tree.root / "g").mkdir()
    (tree.root / "g/pyproject.toml").write_text("[dependency-groups]\nx = []\n")
    assert tree.members("g") is None


def test_a_root_inside_of_a_workspace_is_its_own(tree: Tree) -> None:
    tree.workspace("packages/*")
    tree.workspace("inner", root="packages/a")
    tree.project("packages/a/inner")
    assert tree.members("packages/a") == ["packages/a", "packages/a", "packages/a/inner"]
    assert tree.members("packages/a/inner") == tree.members("packages/a")


@pytest.mark.parametrize(
    ("glob", "projects", "members"),
    [
        ("*", ["a", ".h"], [".h", "a"]),
        ("libs/**", ["libs", "libs/a", "libs/a/b"], ["libs/a", "libs/a/b"]),
        ("**", ["a", "a/b", ".h"], [".h", "a", "a/b"]),
        ("**/m*", ["m1", "x/y/m2", "x/n"], ["m1", "x/y/m2"]),
        ("libs/**/c", ["libs/c", "libs/m/c", "c"], ["libs/c", "libs/m/c"]),
        ("libs/*/../c", ["libs/c"], ["libs/c"]),
        ("p/[!a]", ["p/a", "p/b"], ["p/b"]),
        ("p/[a-b]x", ["p/ax", "p/cx"], ["p/ax"]),
        ("p/{a,b}", ["p/a", "p/b"], []),
        ("p/?", ["p/a", "p/ab", "p/c/d"], ["p/a"]),
        ("missing", ["a"], []),
        (".", ["a"], []),
    ],
)
def test_globs_find_what_they_find_for_uv(
    tree: Tree, glob: str, projects: list[str], members: list[str]
) -> None:
    tree.workspace(glob)
    for project in projects:
        tree.project(project)
    assert tree.members() == [".", *members]


def test_a_member_may_lie_outside_of_the_root_and_does_not_know_it(tree: Tree) -> None:
    tree.workspace("../out", root="in")
    tree.project("out")
    assert tree.members("in") == ["in", "in", "out"]
    assert tree.members("out") is None


def test_a_wildcard_crosses_slashes_in_exclude_and_not_in_members(tree: Tree) -> None:
    tree.workspace("packages/*")
    tree.project("packages/x/b")
    assert tree.members("packages/x/b") is None
    tree.workspace("packages/*/*")
    assert tree.members("packages/x/b") == tree.members() == [".", "packages/x/b"]
    tree.workspace("packages/*/*", exclude=("packages/*",))
    assert tree.members("packages/x/b") is None
    assert tree.members() == ["."]


def test_environments_and_caches_are_not_entered(tree: Tree) -> None:
    tree.workspace("**/m")
    for directory in (".venv/lib", "node_modules", ".git"):
        tree.project(f"{directory}/m")
    (tree.root / ".venv/pyvenv.cfg").write_text("")
    assert tree.members() == ["."]


def test_links_that_lead_back_end_the_walk(tree: Tree) -> None:
    tree.workspace("**/m")
    tree.project("a/m")
    (tree.root / "a/up").symlink_to("..")
    assert tree.members() == [".", "a/m"]


def test_a_linked_member_is_a_member_by_the_name_of_the_link(tree: Tree) -> None:
    tree.workspace("packages/*")
    tree.project("elsewhere")
    (tree.root / "packages").mkdir()
    (tree.root / "packages/e").symlink_to("../elsewhere")
    assert tree.members() == [".", "packages/e"]


class Recording(DiskFiles):
    """Remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def read(self, path: str) -> bytes | None:
        self.asked.add(path)
        return super().read(path)

    def names(self, directory: str) -> tuple[str, ...]:
        self.asked.add(f"{directory}/")
        return super().names(directory)


def test_everything_that_was_looked_at_is_asked_of_the_files(tree: Tree) -> None:
    tree.workspace("packages/*")
    tree.project("packages/a")
    (tree.root / "packages/new").mkdir()
    files = Recording()
    find_workspace(str(tree.root / "packages/a"), files)
    inside = {os.path.relpath(path, tree.root) for path in files.asked if "packages" in path}
    assert inside == {
        "packages",
        "packages/pyproject.toml",
        "packages/a/pyproject.toml",
        "packages/new/pyproject.toml",
    }
    assert f"{tree.root}/packages/" in files.asked


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            "[tool.uv.workspace]\nmembers = 'a'",
            r"\.\./pyproject\.toml: tool\.uv\.workspace\.members",
        ),
        (
            "[tool.uv.workspace]\nmembers = ['a[']",
            r"\.\./pyproject\.toml: .*members\[0\]: not a gl",
        ),
        ("=", r"\.\./pyproject\.toml:1: malformed TOML"),
    ],
)
def test_a_malformed_root_is_an_error_that_says_where(tree: Tree, content: str, fault: str) -> None:
    tree.project("a")
    (tree.root / "pyproject.toml").write_text(content)
    with pytest.raises(ManifestError, match=fault):
        tree.members("a")


@pytest.mark.parametrize("glob", ["a[", "[", "[!", "[]", "a**", "**b", "a/***", "[a/b]", "\0"])
def test_globs_that_uv_refuses_are_faults(glob: str) -> None:
    assert glob_fault(glob) is not None


@pytest.mark.parametrize("glob", ["", "*", "**", "a/**/b", "[]]", "[!]]", "[z-a]", "[^a]", "\\*"])
def test_other_globs_are_none(glob: str) -> None:
    assert glob_fault(glob) is None


@given(st.text(alphabet="ab*?[]!-/.^\\&|~", max_size=12))
def test_any_text_is_a_glob_or_a_fault(glob: str) -> None:
    if glob_fault(glob) is None:
        content = f"[tool.uv.workspace]\nmembers = ['{glob}']\nexclude = ['{glob}']\n".encode()

        class InOneFile:
            def read(self, path: str) -> bytes | None:
                return content if path == "/nowhere/at/all/pyproject.toml" else None

            def names(self, directory: str) -> tuple[str, ...]:  # noqa: ARG002
                return ()

        found = find_workspace("/nowhere/at/all", InOneFile())
        assert found is not None
        assert found.root == "/nowhere/at/all"

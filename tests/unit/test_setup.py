from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.errors import UsageError
from nixpy.setup import install
from nixpy.version import __version__

if TYPE_CHECKING:
    from pathlib import Path


def test_the_library_is_installed_once(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    library = tmp_path / ".config/direnv/lib/nixpy.sh"
    first = install(environ)
    assert (first.path, first.did, first.in_order) == (str(library), "installed", False)
    text = library.read_text()
    assert f"# nixpy-version: {__version__}" in text
    assert "_nixpy_command=(nixpy)" not in text
    again = install(environ)
    assert (again.did, again.in_order) == ("in order", True)
    assert library.read_text() == text
    assert list(library.parent.iterdir()) == [library]


def test_checking_changes_nothing(tmp_path: Path) -> None:
    environ = {"DIRENV_CONFIG": str(tmp_path / "d")}
    assert install(environ, check=True)[1:3] == ("missing", False)
    assert not (tmp_path / "d").exists()
    install(environ)
    assert install(environ, check=True).in_order
    library = tmp_path / "d/lib/nixpy.sh"
    library.write_text("old")
    assert install(environ, check=True)[1:3] == ("not from this nixpy", False)
    assert library.read_text() == "old"
    assert install(environ).did == "updated"


def test_removing_removes_and_may_be_repeated(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = tmp_path / "direnv/lib/nixpy.sh"
    install(environ)
    assert install(environ, remove=True).did == "removed"
    assert not path.exists()
    assert install(environ, remove=True).in_order


def test_a_link_is_kept_and_its_target_written(tmp_path: Path) -> None:
    environ = {"DIRENV_CONFIG": str(tmp_path)}
    library, target = tmp_path / "lib/nixpy.sh", tmp_path / "dotfiles.sh"
    library.parent.mkdir()
    target.write_text("old")
    library.symlink_to(target)
    install(environ)
    assert library.is_symlink()
    assert "use_nixpy" in target.read_text()


def test_without_a_home_there_is_no_place() -> None:
    with pytest.raises(UsageError, match="no place"):
        install({})


def test_a_nixpy_in_the_cache_of_uv_is_not_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "uv/archive-v0/abc/bin/nixpy"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setattr("sys.argv", [str(program)])
    with pytest.raises(UsageError, match="uv's cache"):
        install({"HOME": str(tmp_path)})
    assert not (tmp_path / ".config").exists()


def test_what_leads_to_a_store_path_from_path_is_set_up_instead_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, profile = tmp_path / "nix/store/abc-nixpy/bin", tmp_path / "profile/bin"
    for directory in (store, profile):
        directory.mkdir(parents=True)
    (store / "nixpy").touch(0o755)
    (profile / "nixpy").symlink_to(store / "nixpy")
    monkeypatch.setattr("sys.argv", [str(store / "nixpy")])
    for path, expected in ((profile, profile), (store, store), (tmp_path, store)):
        install({"HOME": str(tmp_path), "PATH": str(path)})
        text = (tmp_path / ".config/direnv/lib/nixpy.sh").read_text()
        assert f"_nixpy_command=('{expected}/nixpy')" in text

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nixpy.environment import Environment, Prepend, Set
from nixpy.inputs import Input
from nixpy.libraries.farm import Link
from nixpy.libraries.record import NOTHING, Supply, read_supply, write_supply

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)
INPUTS = st.builds(
    Input, st.sampled_from(["file", "root"]), TEXT, TEXT, st.integers(-1), TEXT, st.booleans()
)
SUPPLIES = st.builds(
    Supply,
    version=TEXT,
    state=TEXT,
    scope=TEXT,
    farm=TEXT,
    links=st.lists(st.builds(Link, TEXT, TEXT, TEXT), max_size=3).map(tuple),
    missing=TEXTS,
    outputs=PAIRS,
    roots=TEXT,
    inputs=st.lists(INPUTS, max_size=3).map(tuple),
    variables=PAIRS,
    notices=TEXTS,
)


@given(SUPPLIES)
def test_a_record_is_read_as_it_was_written(tmp_path_factory: object, supply: Supply) -> None:
    top = Path(str(tmp_path_factory.mktemp("cache")))  # type: ignore[attr-defined]
    path = str(top / "projects/p/record")
    write_supply(path, str(top), supply)
    assert read_supply(path) == supply


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    path = tmp_path / "projects/record"
    write_supply(str(path), str(tmp_path), NOTHING)
    content = path.read_bytes()
    for cut in range(0, len(content), 7):
        path.write_bytes(content[:cut])
        assert read_supply(str(path)) is None
    path.unlink()
    assert read_supply(str(path)) is None


def test_only_the_scope_shell_changes_the_path() -> None:
    supply = NOTHING._replace(farm="/farm", variables=(("CUDA_HOME", "/c"),))
    own = Set("CUDA_HOME", "/c")
    for scope in ("", "python", "rpath"):
        assert supply._replace(scope=scope).environment == Environment((own,))
    shell = supply._replace(scope="shell").environment
    assert shell == Environment((Prepend("LD_LIBRARY_PATH", ("/farm",)), own))

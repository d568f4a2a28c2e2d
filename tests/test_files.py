"""Finding and reading input files of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from codesign import files
from codesign.errors import CodesignError, InputError


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A table inside a table."""

    size: int
    kind: Literal["a", "b"] = "a"


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A file with everything that the messages have to find their way through."""

    name: str
    parts: list[Part] = []
    named: dict[str, Part] = {}
    either: int | Part = 0
    many: int | list[int] = 0


@pytest.mark.parametrize("kind", files.FOLDERS)
def test_shipped_names_are_found(kind: str) -> None:
    """Every shipped file is found by its bare name, and a path is taken as it is."""
    names = files.shipped(kind)
    assert names
    for name, path in names.items():
        assert files.locate(kind, name) == path
        assert files.locate(kind, str(path)) == path
        assert files.locate(kind, path) == path


@pytest.mark.parametrize(
    ("text", "is_path"),
    [("gemmini_40nm", False), ("mine.toml", True), ("./mine", True), ("folder/mine", True), ("", False)],
)
def test_paths_and_names_differ(text: str, is_path: bool) -> None:
    """A slash or the suffix makes a path."""
    assert is_path == files.is_path(text)


@pytest.mark.parametrize(("kind", "known"), [("search space", "survey_lm, .*tiny"), ("cost model", "gemmini_40nm, .*")])
def test_unknown_names_list_the_known(kind: str, known: str) -> None:
    """A name that is not shipped is answered with those that are, and with how to name a file of one's own."""
    with pytest.raises(
        InputError, match=f"unknown {kind} .a path of your own ends in .toml. 'nothing'; known: .*{known}"
    ):
        files.locate(kind, "nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"name = '\xff\xfe'", "cannot be read: .*utf-8"),
        (b"name = ", "not valid TOML"),
        (b"name = 'a'\nname = 'b'", "not valid TOML .a key given twice also reads like this"),
        (b"\x00\x01\x02", "not valid TOML"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Missing, empty, binary and damaged files are refused by name."""
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CodesignError, match=rf"mine\.toml: {message}"):
        files.read("cost model", path, File)


def test_directories_are_refused(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(InputError, match=f"{tmp_path}: cannot be read: "):
        files.read_text(tmp_path)


def test_files_without_permission_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system does not let be read is refused with its reason."""

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(InputError, match=r"mine\.toml: cannot be read: .*Permission denied"):
        files.read_text(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "top level: unknown field x; known: name, parts, named, either, many"),
        ("parts = []", "top level: missing required field name"),
        ("name = 3", "name: Expected str, got 3"),
        ("name = 'a'\nparts = 3", "parts: Expected list, got 3"),
        ("name = 'a'\nparts = [3]", r"parts\[0\]: Expected a table with size, kind, got 3"),
        ("name = 'a'\nparts = [{ size = 1 }, { size = 1.5 }]", r"parts\[1\]\.size: Expected int, got 1\.5"),
        ("name = 'a'\nparts = [{ size = 1, kind = 'c' }]", r"parts\[0\]\.kind: Expected one of a, b, got 'c'"),
        ("name = 'a'\nparts = [{ siz = 1 }]", r"parts\[0\]: unknown field siz; known: size, kind"),
        ("name = 'a'\nnamed = 3", "named: Expected a table with keys, got 3"),
        ("name = 'a'\nnamed.x = { size = 1 }\nnamed.y = { size = 'b' }", r"named\.y\.size: Expected int, got 'b'"),
        ("name = 'a'\nnamed.x = 4", r"named\.x: Expected a table with size, kind, got 4"),
        ("name = 'a'\nnamed.'x y' = { siz = 4 }", "named.x y: unknown field siz; known: size, kind"),
        ("name = 'a'\neither = 'b'", "either: Expected int . a table with size, kind, got 'b'"),
        ("name = 'a'\neither = { sizes = 3 }", "either: unknown field sizes; known: size, kind"),
        ("name = 'a'\neither = { size = 3, kind = 4 }", "either.kind: Expected one of a, b, got 4"),
        ("name = 'a'\nmany = [1, 'b']", r"many\[1\]: Expected int, got 'b'"),
    ],
)
def test_refusals_name_the_key_path(text: str, message: str) -> None:
    """The message says where in the file, what was expected with all known names, and what came."""
    with pytest.raises(InputError, match=f"^mine.toml: {message}$"):
        files.parse(text, "mine", "mine.toml", File)


def test_text_is_kept_verbatim(tmp_path: Path) -> None:
    """A document keeps the text as it stands in the file, comments included, and is named after the file."""
    path = tmp_path / "mine.toml"
    path.write_text("# a remark\nname = 'ü'\n", encoding="utf-8")
    document = files.read("cost model", str(path), File)
    assert (document.name, document.origin) == ("mine", str(path))
    assert document.text == "# a remark\nname = 'ü'\n"
    assert document.content == File(name="ü")


def test_missing_folder_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation without its data says so."""
    monkeypatch.setattr(files, "__file__", str(tmp_path / "codesign" / "files.py"))
    with pytest.raises(InputError, match=r"the shipped folder cost_models/ is missing .*reinstall codesign"):
        files.shipped("cost model")

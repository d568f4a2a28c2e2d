"""Find and read a declarative file: TOML text in, typed struct out.

A bare name is a shipped file, anything with a slash or a `.toml` suffix is the user's own. Every refusal names the
file, the key path inside it, what was expected and what came.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from codesign.errors import InputError, unknown_name

FOLDERS = {"search space": "search_spaces", "cost model": "cost_models"}

T = TypeVar("T")


@dataclass(frozen=True)
class Document(Generic[T]):
    """A file that was read: its text verbatim and what it means."""

    name: str
    origin: str
    """Path of the file, or where else the text came from; used in messages only."""
    text: str
    content: T


def read(kind: str, name_or_path: str | Path, struct: type[T]) -> Document[T]:
    """Read a shipped file by its bare name, or the user's own by path.

    Args:
        kind: "search space" or "cost model".
        name_or_path: bare name such as `survey_lm`, or a path.
        struct: the msgspec struct that the file must satisfy.

    Raises:
        InputError: unknown name, unreadable file, or content that the struct refuses.
    """
    path = locate(kind, name_or_path)
    return parse(read_text(path), path.stem, str(path), struct)


def locate(kind: str, name_or_path: str | Path) -> Path:
    """Return the path of a shipped file or of the user's own."""
    if is_path(name_or_path):
        return Path(name_or_path)
    names = shipped(kind)
    if str(name_or_path) not in names:
        raise unknown_name(f"{kind} (a path of your own ends in .toml)", str(name_or_path), names)
    return names[str(name_or_path)]


def is_path(name_or_path: str | Path) -> bool:
    """Tell a path from a bare name."""
    return isinstance(name_or_path, Path) or "/" in name_or_path or name_or_path.endswith(".toml")


def shipped(kind: str) -> dict[str, Path]:
    """Return the shipped files of a kind by name: inside the package (wheel) or beside it (clone)."""
    package = Path(__file__).parent
    folder = FOLDERS[kind]
    found = next((base / folder for base in (package, package.parent) if (base / folder).is_dir()), None)
    if found is None:
        raise InputError(f"the shipped folder {folder}/ is missing beside {package}; reinstall codesign")
    return {path.stem: path for path in sorted(found.glob("*.toml"))}


def read_text(path: Path) -> str:
    """Read a text file or say why not."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return text


def parse(text: str, name: str, origin: str, struct: type[T]) -> Document[T]:
    """Turn TOML text into a typed struct; duplicate and unknown keys, wrong types and ranges are refused."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{origin}: not valid TOML (a key given twice also reads like this): {error}") from None
    return Document(name, origin, text, convert(raw, origin, struct))


def convert(raw: Any, origin: str, struct: type[T]) -> T:
    """Check plain data against a struct; the error carries the key path, what was expected and what came."""
    try:
        return msgspec.convert(raw, struct)
    except msgspec.ValidationError as error:
        raise InputError(_explain(str(error), raw, origin, struct)) from None


def _explain(message: str, raw: Any, origin: str, struct: type[Any]) -> str:
    what, _, where = message.partition(" - at ")
    steps = [int(index) if index else key for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", where)]
    key_path = where.strip("`").removeprefix("$").removeprefix(".") or "top level"
    what = what.replace("`", "")
    if "unknown field" in what:
        known = _field_names(struct, steps)
        return f"{origin}: {key_path}: {what}" + (f"; known: {', '.join(known)}" if known else "")
    if "missing required field" in what:
        return f"{origin}: {key_path}: {what}"
    what = what.replace("Expected object", 'Expected a table { value = ..., source = "..." } or [section]')
    return f"{origin}: {key_path}: {what.split(', got')[0]}, got {_value_at(raw, steps)!r}"


def _value_at(raw: Any, steps: list[str | int]) -> Any:
    for step in steps:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return "nothing"
    return raw


def _field_names(struct: type[Any], steps: list[str | int]) -> list[str]:
    info: Any = msgspec.inspect.type_info(struct)
    for step in steps:
        options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
        fields = [f for option in options for f in getattr(option, "fields", ()) if f.name == step]
        values = [option.value_type for option in options if hasattr(option, "value_type")]
        if not fields and not values:
            return []
        info = fields[0].type if fields else values[0]
    options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return [field.encode_name for option in options for field in getattr(option, "fields", ())]

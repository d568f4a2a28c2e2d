"""Read a written page back, without a browser."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """Elements, attributes and texts of a page; what scripts and styles hold is kept apart."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element; scripts and styles hold text, not markup."""
        self.elements.append((tag, dict(attrs)))
        self._inside = [tag] if tag in ("script", "style") else []
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        self._inside = [] if tag in ("script", "style") else self._inside

    def handle_data(self, data: str) -> None:
        """Keep visible text and scripts."""
        if self._inside == ["script"]:
            self.scripts[-1] += data
        elif not self._inside:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All visible text, with single plain spaces."""
        return " ".join(" ".join(self.texts).replace("\N{NO-BREAK SPACE}", " ").split())

    @property
    def data(self) -> dict[str, Any]:
        """The embedded JSON."""
        loaded: dict[str, Any] = json.loads(self.scripts[0])
        return loaded

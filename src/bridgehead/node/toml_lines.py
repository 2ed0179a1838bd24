"""Where each key stands in a TOML text: tomllib gives values without lines, and an error message needs the line."""

from __future__ import annotations

import tomllib
from typing import Final

KeyPath = tuple[str | int, ...]

_BLANK: Final = " \t"
_VALUE_ENDS: Final = ",]}\r\n#"
_BARE_KEY_ENDS: Final = " \t.=]\r\n"


def key_lines(text: str) -> dict[KeyPath, int]:
    """The 1-based line of every key, table header and array element of `text`.

    A path is made of keys and, inside arrays (`[[listener]]` too), 0-based indexes: `("listener", 1, "bind")`.
    `text` must have passed `tomllib.loads` already: this reads TOML 1.0 that is known to be well-formed.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}  # array of tables -> how many headers were seen

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(newlines=True)
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self._header(2)
            elif self.text[self.at] == "[":
                table = self._header(1)
            else:
                self._assignment(table)
            self._skip(newlines=True)

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _skip(self, newlines: bool) -> None:
        blank = _BLANK + "\r\n" if newlines else _BLANK
        while self.at < len(self.text):
            if self.text[self.at] in blank:
                self.at += 1
            elif newlines and self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def _header(self, brackets: int) -> KeyPath:
        line = self._line()
        self.at += brackets
        parts = self._dotted_key()
        self.at += brackets
        path: KeyPath = ()
        for depth, part in enumerate(parts, 1):
            path = (*path, part)
            if brackets == 2 and depth == len(parts):
                self._elements[path] = self._elements.get(path, 0) + 1
            self.lines.setdefault(path, line)
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
                self.lines.setdefault(path, line)
        return path

    def _dotted_key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(newlines=False)
            if self.text[self.at] in "\"'":
                start = self.at
                self._string()
                # Escapes in a quoted key are tomllib's business, not ours.
                parts.append(next(iter(tomllib.loads(f"{self.text[start : self.at]} = 0"))))
            else:
                start = self.at
                while self.text[self.at] not in _BARE_KEY_ENDS:
                    self.at += 1
                parts.append(self.text[start : self.at])
            self._skip(newlines=False)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _assignment(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._dotted_key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign
        self._skip(newlines=False)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        first = self.text[self.at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in _VALUE_ENDS:
                self.at += 1

    def _string(self) -> None:
        quote = self.text[self.at]
        if self.text.startswith(quote * 3, self.at):
            self.at += 3
            while not self.text.startswith(quote * 3, self.at):
                self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
            self.at += 3
            while self.text.startswith(quote, self.at):  # up to two quotes may stand before the closing three
                self.at += 1
            return
        self.at += 1
        while self.text[self.at] != quote:
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += 1

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(newlines=True)
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            element = (*path, index)
            self.lines.setdefault(element, self._line())
            self._value(element)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self._skip(newlines=True)
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._assignment(path)

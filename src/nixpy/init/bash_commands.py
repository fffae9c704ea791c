"""Bash as far as an ``.envrc`` is written in it: which lines belong together, and what they run.

Not a parser of the language: enough of POSIX' token recognition (2.3) and of bash's compound
commands to tell where a command that goes over several lines ends, and which simple commands it
holds. Whoever changes a file by it lets bash itself check the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Chunk", "chunks", "is_assignment", "literal"]

_OPENING = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done"}
_OPENING |= {"case": "esac", "{": "}"}
_CLOSING = frozenset(_OPENING.values())
_BETWEEN = frozenset({"then", "elif", "else", "do", "!", "time", "function"})
_OPERATORS = ("&&", "||", ";;&", ";;", ";&", "|&", "&", "|", ";", "(", ")")
_GOES_ON = frozenset({"&&", "||", "|", "|&"})
_BLANK = " \t\r"
_PATTERNS = "*?[{~"
_REDIRECTION = re.compile(r"(?:\d*|&)(?:>>|>\||>&|<&|<<<|<>|>|<)")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_FUNCTION = re.compile(r"(?:function[ \t]+)?([A-Za-z_][\w.:-]*)[ \t]*\(\)|function[ \t]+([\w.:-]+)")
_HERE_DOCUMENT = re.compile(r"\d*<<(-?)(?!<)[ \t]*([^\s;&|()<>]+)")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines that only make sense together.

    Attributes:
        first: index of the first line.
        lines: what they say, without line ends.
        commands: the simple commands in them, each as its words as they are written.
        function: the name of the function that they define, or empty.
        has_alternatives: whether an ``else`` or a ``case`` chooses between commands.
        is_complete: whether nothing is open at the end.
        is_definition: whether they define a function and do nothing else.
    """

    first: int
    lines: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...] = ()
    function: str = ""
    has_alternatives: bool = False
    is_complete: bool = True
    is_definition: bool = False

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in them but comments."""
        return all(line.strip(" \t")[:1] in {"", "#"} for line in self.lines)

    @property
    def is_compound(self) -> bool:
        """Whether it is more than one simple command."""
        return len(self.commands) > 1


def chunks(text: str) -> Iterator[Chunk]:
    """Yield the chunks of a text; together they are all of its lines."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    first = 0
    while first < len(lines):
        chunk = _Scanner(lines, first).chunk()
        yield chunk
        first += len(chunk.lines)


def is_assignment(word: str) -> bool:
    """Whether a word in front of a command sets a variable."""
    return _ASSIGNMENT.match(word) is not None


def literal(word: str, directory: str = ".") -> str | None:
    """Return what a word comes to, or ``None`` where only a shell could say.

    The project's own directory, however it is written (``$PWD``, ``$(pwd)``, ``$(expand_path x)``),
    becomes ``directory``, and falls away in front of a name.
    """
    found = []
    quote = ""
    word = _OWN_DIRECTORY.sub(lambda _: directory, word)
    word = _EXPANDED.sub(lambda match: match[1] or match[2], word)
    at = 0
    while at < len(word):
        character = word[at]
        if character == "\\" and quote != "'":
            at += 1
            found.append(word[at : at + 1])
        elif quote and character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif _expands(character, quote, is_first=at == 0):
            return None
        else:
            found.append(character)
        at += 1
    value = "".join(found)
    return value.removeprefix("./") or value


def _expands(character: str, quote: str, *, is_first: bool) -> bool:
    if character in "$`":
        return quote != "'"
    return not quote and character in _PATTERNS and (character != "~" or is_first)


_OWN_DIRECTORY = re.compile(
    r"\$PWD(?![A-Za-z0-9_])|\$\{PWD\}|\$\(pwd(?: -[LP])?\)|`pwd`|\$\(direnv_layout_dir\)/\.\."
)
_EXPANDED = re.compile(r'"?\$\(expand_path (?:([\w./-]+)|"([\w./-]+)")\)"?')


class _UnfinishedError(Exception):
    """The end of the text came where something was still open."""


class _Scanner:
    """Finds the end of the chunk that begins in a line."""

    def __init__(self, lines: list[str], first: int) -> None:
        self.lines = lines
        self.first = first
        self.text = "\n".join(lines[first:]) + "\n"
        self.at = 0
        self.open: list[str] = []
        self.words: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.here_documents: list[tuple[str, bool]] = []
        self.last = ""
        self.has_alternatives = False
        self.commands_outside = 0
        self.blocks = 0

    def chunk(self) -> Chunk:
        is_complete = True
        try:
            self._scan()
        except _UnfinishedError:
            is_complete = False
            self._end_command()
            self.at = len(self.text)
        count = max(self.text.count("\n", 0, self.at), 1)
        lines = tuple(self.lines[self.first : self.first + count])
        named = _FUNCTION.match(lines[0].strip())
        function = (named[1] or named[2] or "") if named else ""
        is_alone = is_complete and self.blocks == 1 and not self.commands_outside
        return Chunk(
            self.first,
            lines,
            tuple(self.commands),
            function,
            self.has_alternatives,
            is_complete,
            bool(function) and is_alone,
        )

    def _scan(self) -> None:
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\n":
                self.at += 1
                if self._line_ended():
                    return
            elif character in _BLANK:
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif character == "#":
                self.at = self.text.index("\n", self.at)
            elif here := _HERE_DOCUMENT.match(self.text, self.at):
                self.here_documents.append((re.sub(r"['\"\\]", "", here[2]), here[1] == "-"))
                self.at = here.end()
            elif not self._operator():
                self._word()
        if self.open:
            raise _UnfinishedError

    def _line_ended(self) -> bool:
        """Take the end of a line; say whether the chunk ends with it."""
        for word, is_indented in self.here_documents:
            self._skip_here_document(word, is_indented=is_indented)
        self.here_documents.clear()
        goes_on = self.last in _GOES_ON and not self.words
        self._end_command()
        if self.at >= len(self.text) and (self.open or goes_on):
            raise _UnfinishedError
        # A function's name may stand alone on its line.
        waits = self.last in {"()", "function"}
        return not (self.open or goes_on or waits)

    def _skip_here_document(self, word: str, *, is_indented: bool) -> None:
        while self.at < len(self.text):
            end = self.text.index("\n", self.at)
            line = self.text[self.at : end]
            self.at = end + 1
            if (line.lstrip("\t") if is_indented else line) == word:
                return
        raise _UnfinishedError

    def _operator(self) -> bool:
        for operator in _OPERATORS:
            if not self.text.startswith(operator, self.at):
                continue
            if operator == "&" and self.text.startswith("&>", self.at):
                return False
            self.at += len(operator)
            if operator == "(" and self.text.startswith(")", self.at) and len(self.words) == 1:
                self.at += 1
                self.words.clear()
                self.last = "()"
                return True
            self._end_command()
            self.last = operator
            if operator == "(":
                self.open.append(")")
            elif operator == ")" and self.open[-1:] == [")"]:
                self._close()
            elif operator == ")" and self.open[-1:] == ["esac"]:
                if self.commands:
                    self.commands.pop()  # It was a pattern.
            elif operator == ")":
                raise _UnfinishedError
            return True
        return False

    def _end_command(self) -> None:
        if self.words:
            command = tuple(_without_redirections(self.words))
            if command:
                self.commands.append(command)
                self.commands_outside += not self.open
            self.words = []
            self.last = ""

    def _word(self) -> None:
        start = self.at
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in "\n;|" + _BLANK or (character in "()" and not self._is_array(start)):
                break
            if character == "&" and self._ends_word(start):
                break
            self._step()
        word = self.text[start : self.at]
        self._take(word)

    def _ends_word(self, start: int) -> bool:
        """Whether an ``&`` is an operator, and no part of a redirection."""
        if self.text[self.at - 1] in "<>":
            return False
        return self.at > start or not self.text.startswith("&>", self.at)

    def _is_array(self, start: int) -> bool:
        if self.text[self.at] == "(" and self.text[start : self.at].endswith("="):
            self.at += 1
            self._until(")")
            self.at -= 1
            return True
        return False

    def _take(self, word: str) -> None:
        if self.words or not self._is_reserved(word):
            self.words.append(word)
        if self.words[:1] == ["case"] and word == "in":
            self._end_command()
        elif self.words[:1] == ["[["] and word != "]]":
            # Inside, && and parentheses are part of the test.
            end = self.text.find("]]", self.at)
            if end < 0:
                raise _UnfinishedError
            self.words += (self.text[self.at : end].strip(), "]]")
            self.at = end + 2

    def _is_reserved(self, word: str) -> bool:
        """Take a word at the beginning of a command that is none (POSIX, 2.4)."""
        if self.last == "function":
            self.last = "()"
            return True
        if word in _OPENING:
            self.open.append(_OPENING[word])
            if word in {"for", "case", "select"}:
                self.words = [word]
        elif word in _CLOSING:
            if self.open[-1:] != [word]:
                raise _UnfinishedError
            self._close()
        elif word not in _BETWEEN:
            return False
        self.has_alternatives |= word in {"case", "else", "elif"}
        self.last = word
        return True

    def _close(self) -> None:
        self.open.pop()
        self.blocks += not self.open

    def _step(self) -> None:
        """Go over one character of a word, or what is quoted or substituted there."""
        character = self.text[self.at]
        two = self.text[self.at : self.at + 2]
        if character == "\\":
            self.at += 2
        elif character == "'":
            self.at = self._find("'", self.at + 1)
        elif two == "$'":
            self.at += 2
            self._until("'", is_literal=True)
        elif character == '"':
            self.at += 1
            self._until('"')
        elif two in {"$(", "<(", ">("}:
            self.at += 2
            self._until(")")
        elif two == "${":
            self.at += 2
            self._until("}")
        elif character == "`":
            self.at = self._find("`", self.at + 1)
        else:
            self.at += 1

    def _find(self, end: str, start: int) -> int:
        found = self.text.find(end, start)
        if found < 0:
            raise _UnfinishedError
        return found + 1

    def _until(self, end: str, *, is_literal: bool = False) -> None:
        while self.at < len(self.text):
            if self.text[self.at] == end:
                self.at += 1
                return
            if is_literal:
                self.at += 2 if self.text[self.at] == "\\" else 1
            elif end == '"' and self.text[self.at] == "'":
                self.at += 1
            elif end == ")" and self.text[self.at] == "(":
                self.at += 1
                self._until(")")
            else:
                self._step()
        raise _UnfinishedError


def _without_redirections(words: list[str]) -> Iterator[str]:
    skips = False
    for word in words:
        if skips:
            skips = False
        elif match := _REDIRECTION.match(word):
            skips = match.end() == len(word)
        else:
            yield word

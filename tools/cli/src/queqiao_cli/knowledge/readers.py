"""From the bytes of a file to its sections: what stands under one heading, or on one page."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator

import docx
import docx.opc.exceptions
import pypdf
import pypdf.errors
from docx.document import Document as Docx
from docx.table import Table
from docx.text.paragraph import Paragraph
from msgspec import Struct

from queqiao_cli.knowledge.sniffing import Kind, UnfitFileError, kind_of, text_of

MAX_PAGES = 5000
MAX_HEADING = 120
MAX_CHARS = 10_000_000
"""Characters of one document."""

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_STYLE = re.compile(r"(?:heading|标题)\s*(\d)", re.IGNORECASE)
_QUESTION = frozenset({"question", "questions", "q", "问题", "问", "提问", "标准问", "标题"})
_ANSWER = frozenset({"answer", "answers", "a", "答案", "答", "回答", "回复", "内容"})

# What its authors let out of a broken file, beside their own errors.
_BROKEN_PDF = (
    pypdf.errors.PyPdfError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RecursionError,
    ArithmeticError,
    NotImplementedError,
    OSError,
)
_BROKEN_DOCX = (
    docx.opc.exceptions.OpcError,
    SyntaxError,  # what lxml says of broken XML
    zipfile.BadZipFile,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    OSError,
)


class Section(Struct, frozen=True):
    """A part of a document as its author divided it."""

    heading: str
    text: str
    place: str = ""


def read(name: str, data: bytes) -> list[Section]:
    """Return the sections of a file that have something to say.

    Raises:
        UnfitFileError: it is not what its name says, broken, locked, too long, or without a text.
    """
    kind = kind_of(name, data)
    sections = [one for one in _sections(kind, name, data) if one.heading or one.text.strip()]
    if not sections:
        hint = "; a scanned PDF has pictures of text only" if kind is Kind.PDF else ""
        raise UnfitFileError(f"{name}: no text was found{hint}")
    if sum(len(one.text) for one in sections) > MAX_CHARS:
        raise UnfitFileError(f"{name}: longer than {MAX_CHARS} characters; divide it")
    return sections


def _sections(kind: Kind, name: str, data: bytes) -> Iterator[Section]:
    match kind:
        case Kind.PDF:
            return _pdf(name, data)
        case Kind.DOCX:
            return _docx(name, data)
        case Kind.CSV:
            return _csv(name, text_of(name, data))
        case Kind.MARKDOWN:
            return _markdown(text_of(name, data))
        case Kind.TEXT:
            return iter([Section("", text_of(name, data))])


class Outline:
    """The headings above the text that is being read."""

    def __init__(self) -> None:
        self._above: dict[int, str] = {}
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Take a line of text."""
        self._lines.append(line)

    def enter(self, level: int, heading: str) -> Section:
        """Take a heading and return what stood before it; level 1 is the highest."""
        before = self.leave()
        self._above = {one: text for one, text in self._above.items() if one < level}
        self._above[level] = heading.strip()
        return before

    def leave(self) -> Section:
        """Return what has been read since the last heading."""
        path = " > ".join(self._above[level] for level in sorted(self._above))
        section = Section(path[-MAX_HEADING:], "\n".join(self._lines).strip("\n"))
        self._lines = []
        return section


def _markdown(text: str) -> Iterator[Section]:
    outline, in_code = Outline(), False
    for line in text.split("\n"):
        in_code ^= bool(_FENCE.match(line))
        heading = None if in_code else _HEADING.match(line)
        if heading:
            yield from _said(outline.enter(len(heading[1]), heading[2]))
        else:
            outline.add(line)
    yield from _said(outline.leave())


def _said(section: Section) -> Iterator[Section]:
    """Leave out headings that only have others beneath them: those repeat them."""
    if section.text.strip():
        yield section


def _docx(name: str, data: bytes) -> Iterator[Section]:
    try:
        yield from _docx_sections(docx.Document(io.BytesIO(data)))
    except _BROKEN_DOCX as error:
        raise UnfitFileError(f"{name}: a broken DOCX ({type(error).__name__})") from error


def _docx_sections(document: Docx) -> Iterator[Section]:
    outline = Outline()
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            for row in block.rows:
                outline.add(" | ".join(cell.text.strip() for cell in row.cells))
            continue
        level = _level(block)
        if level and block.text.strip():
            yield from _said(outline.enter(level, block.text))
        elif block.text.strip():
            outline.add(block.text + "\n")
    yield from _said(outline.leave())


def _level(paragraph: Paragraph) -> int:
    """Return how high a heading is (1: the highest); 0: it is none."""
    style = (paragraph.style.name or "") if paragraph.style else ""
    if style in {"Title", "标题"}:
        return 1
    match = _STYLE.match(style)
    return int(match[1]) + 1 if match else 0


def _pdf(name: str, data: bytes) -> Iterator[Section]:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnfitFileError(f"{name}: locked by a password")
        if len(reader.pages) > MAX_PAGES:
            raise UnfitFileError(f"{name}: more than {MAX_PAGES} pages; divide it")
        for number, page in enumerate(reader.pages, start=1):
            yield Section("", _unbroken(page.extract_text()), f"第 {number} 页")
    except _BROKEN_PDF as error:
        raise UnfitFileError(f"{name}: a broken PDF ({type(error).__name__})") from error


def _unbroken(text: str) -> str:
    """Join the lines of a page within a Chinese sentence: a page breaks them where it is full."""
    return re.sub(r"(?<=[\u4e00-\u9fff，、])\n(?=[\u4e00-\u9fff])", "", text)


def _csv(name: str, text: str) -> Iterator[Section]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UnfitFileError(f"{name}: not CSV: {error}") from error
    names = [cell.strip().lower() for cell in rows[0]]
    question = next((at for at, one in enumerate(names) if one in _QUESTION), None)
    answer = next((at for at, one in enumerate(names) if one in _ANSWER), None)
    if question is not None and answer is not None:
        yield from _pairs(rows[1:], question, answer, first=2)
    elif {len(row) for row in rows} == {2}:
        yield from _pairs(rows, 0, 1, first=1)
    else:
        yield from _table(rows)


def _pairs(rows: list[list[str]], question: int, answer: int, *, first: int) -> Iterator[Section]:
    for number, row in enumerate(rows, start=first):
        cells = dict(enumerate(cell.strip() for cell in row))
        if cells.get(answer):
            yield Section(cells.get(question, ""), cells[answer], f"第 {number} 行")


def _table(rows: list[list[str]]) -> Iterator[Section]:
    names, *values = rows
    for number, row in enumerate(values, start=2):
        said = [
            f"{name.strip()}：{cell.strip()}" if name.strip() else cell.strip()
            for name, cell in zip([*names, *[""] * len(row)], row, strict=False)
            if cell.strip()
        ]
        yield Section("", "；".join(said), f"第 {number} 行")

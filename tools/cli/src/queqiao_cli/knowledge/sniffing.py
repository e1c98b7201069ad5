"""What a file is, by its content: one that is not what its name says is refused. Pure."""

import io
import re
import zipfile
from enum import StrEnum
from pathlib import PurePath

from queqiao_common.errors import PermanentError

MAX_UNPACKED = 200 * 1024 * 1024
"""Bytes that a DOCX may have when it is unpacked."""
STRANGE = 0.005
"""Share of control characters above which bytes are no text."""


class Kind(StrEnum):
    """The files that can be read."""

    MARKDOWN = "Markdown"
    TEXT = "text"
    CSV = "CSV"
    PDF = "PDF"
    DOCX = "DOCX"


class UnfitFileError(PermanentError):
    """A file that cannot be taken in; the message says why, for a person."""


KINDS = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".csv": Kind.CSV,
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
}
"""By the end of the name."""

_MAGIC = (
    (b"\xd0\xcf\x11\xe0", "an old Office file (.doc, .xls): save it as .docx or .csv"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"SQLite format 3", "a database"),
    (b"{\\rtf", "an RTF file: save it as .docx"),
)
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_PAGE = re.compile(r"\s*(?:<!doctype html|<html[\s>])", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd\ue000-\uf8ff]")


def kind_of(name: str, data: bytes) -> Kind:
    """Return what a file is.

    Raises:
        UnfitFileError: it is of a kind that is not read, or not what its name says.
    """
    claimed = KINDS.get(PurePath(name).suffix.lower())
    if claimed is None:
        raise UnfitFileError(f"{name}: not a kind that is read ({', '.join(sorted(KINDS))})")
    if not data.strip():
        raise UnfitFileError(f"{name}: empty")
    found = _binary(data)
    if found is None and claimed not in {Kind.PDF, Kind.DOCX}:
        text_of(name, data)
        return claimed
    if found != claimed:
        raise UnfitFileError(f"{name}: named as {claimed}, but it is {found or 'none'}")
    return claimed


def text_of(name: str, data: bytes) -> str:
    """Return the text of a file in UTF-8, UTF-16 with a mark, or GB18030; lines end in `\\n`.

    Raises:
        UnfitFileError: it is no text, or a web page.
    """
    text = _decoded(name, data).replace("\r\n", "\n").replace("\r", "\n")
    if len(_CONTROL.findall(text)) > STRANGE * len(text):
        raise UnfitFileError(f"{name}: its bytes are no text")
    if _PAGE.match(text):
        raise UnfitFileError(f"{name}: a web page; save its text as .md or .txt")
    return _CONTROL.sub("", text)


def _decoded(name: str, data: bytes) -> str:
    encodings = [encoding for mark, encoding in _BOMS if data.startswith(mark)]
    for encoding in encodings or ["utf-8", "gb18030"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnfitFileError(f"{name}: text in neither UTF-8 nor GB18030")


def _binary(data: bytes) -> str | None:
    """Say what a file is that is no text: one of our kinds, or words for a person."""
    if b"%PDF-" in data[:1024]:
        return Kind.PDF
    if data.startswith(b"PK\x03\x04"):
        return _zipped(data)
    return next((words for magic, words in _MAGIC if data.startswith(magic)), None)


def _zipped(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return "a broken archive"
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        return f"an archive of more than {MAX_UNPACKED} bytes"
    names = {entry.filename for entry in entries}
    if "word/document.xml" in names:
        return Kind.DOCX
    return "a spreadsheet" if "xl/workbook.xml" in names else "an archive"

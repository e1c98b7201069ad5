"""The static files of the page: their addresses hold their content's hash, so they never change.

They are part of the package: the page asks nobody else for anything, unless a mirror (a CDN) is
configured, whose copies must then have the very hash that the page names.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from urllib.parse import urlsplit

FOLDER = files("queqiao_ingress") / "static"
TYPES: Mapping[str, str] = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.svg": "image/svg+xml",
}
HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; `version` changes with its content, `seal` is what a browser checks it against."""

    name: str
    content: bytes
    media_type: str

    @property
    def version(self) -> str:
        """The beginning of the content's hash."""
        return hashlib.sha256(self.content).hexdigest()[:HASH_DIGITS]

    @property
    def seal(self) -> str:
        """The `integrity` of the file."""
        digest = hashlib.sha384(self.content).digest()
        return "sha384-" + base64.b64encode(digest).decode("ascii")


class Assets:
    """All files, and how the page names them; `base_url` is that of a mirror, or empty."""

    def __init__(self, base_url: str = "") -> None:
        self._base = base_url.rstrip("/")
        self._files = {
            name: Asset(name, FOLDER.joinpath(name).read_bytes(), media_type)
            for name, media_type in TYPES.items()
        }

    @property
    def source(self) -> str:
        """Where files come from, as a content security policy says it."""
        parts = urlsplit(self._base)
        return f"{parts.scheme}://{parts.netloc}" if self._base else "'self'"

    def find(self, name: str) -> Asset | None:
        """Return a file by its name."""
        return self._files.get(name)

    def fields(self) -> dict[str, str]:
        """Return what the templates need to name the files."""
        names = {"style": "page.css", "script": "page.js", "icon": "page.svg"}
        fields = {key: self._address(name) for key, name in names.items()}
        return fields | {f"{key}_seal": self._seal(name) for key, name in names.items()}

    def _address(self, name: str) -> str:
        return f"{self._base}/assets/{self._files[name].version}/{name}"

    def _seal(self, name: str) -> str:
        """Return the attributes that make a browser check a mirror's copy."""
        if not self._base:
            return ""
        return f' integrity="{self._files[name].seal}" crossorigin="anonymous"'


def template(name: str) -> Template:
    """Return one of the pages to be filled in; whoever fills it escapes."""
    return Template(FOLDER.joinpath(name).read_text(encoding="utf-8"))

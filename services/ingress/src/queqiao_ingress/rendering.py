"""From a model's Markdown to the HTML of its page. Pure; takes milliseconds, so not in the loop.

What a model writes is as little to be trusted as what its user made it write. So nothing of it is
ever taken for HTML: Markdown's own HTML is off, formulas are rebuilt element by element, pictures
are shown as links (a picture would tell its host who reads), and at the end whatever is not on the
list of what we produce is removed again.
"""

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import latex2mathml.exceptions
import nh3
import pygments
from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.texmath import texmath_plugin
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from queqiao_wechat.text import clean_text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_MARKDOWN: Final = 60_000
"""Characters that are read as Markdown; a longer text is shown as it is."""
MAX_HIGHLIGHTED: Final = 20_000
"""Characters of a piece of code that is coloured."""
MAX_FORMULA: Final = 2_000
"""Characters of a formula that is set."""
CODE_CLASS: Final = "code"

SCHEMES: Final = frozenset({"http", "https", "mailto"})
_HTML_TAGS = _words(
    "a p br hr em strong s blockquote ul ol li h1 h2 h3 h4 h5 h6 pre code span div "
    "table thead tbody tr th td"
)
_MATH_TAGS = _words(
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover "
    "munderover mmultiscripts mprescripts none mtable mtr mtd mpadded mphantom mstyle menclose"
)
_MATH_ATTRIBUTES = _words(
    "display displaystyle scriptlevel mathvariant stretchy fence separator form lspace rspace "
    "linethickness accent accentunder columnalign rowspacing columnspacing width height depth "
    "voffset notation minsize maxsize symmetric largeop movablelimits"
)
_ATTRIBUTES: Mapping[str, set[str]] = {
    "a": {"href", "title"},
    "ol": {"start"},
    **{tag: {"class"} for tag in ("span", "div", "pre", "code", "th", "td")},
    **{tag: set(_MATH_ATTRIBUTES) for tag in _MATH_TAGS},
}
_FORMULA_ERRORS: tuple[type[Exception], ...] = (
    # They have no base class of their own.
    *(one for one in vars(latex2mathml.exceptions).values() if isinstance(one, type)),
    # What the library does not expect of a formula shows as these.
    *(AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError),
)
_ADDRESS = re.compile(r"https?://[!-~]*[0-9A-Za-z/#=&_-]")
"""A bare address ends before the first character that is none: Chinese puts no space after it."""
_ALIGNMENTS = {"text-align:left": "l", "text-align:center": "c", "text-align:right": "r"}


def render(markdown: str) -> str:
    """Return Markdown, with tables, code and formulas, as HTML that can do nothing but be read."""
    if len(markdown) > MAX_MARKDOWN:
        return f"<pre>{html.escape(markdown)}</pre>"
    return nh3.clean(
        _parser().render(clean_text(markdown)),
        tags=set(_HTML_TAGS | _MATH_TAGS),
        attributes=dict(_ATTRIBUTES),
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "highlight": highlighted}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    parser.use(texmath_plugin, delimiters="brackets")
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
    parser.core.ruler.push("link_addresses", _link_addresses)
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]  # its documented hook
    rules: Mapping[str, Callable[..., str]] = {
        "image": _image,
        "table_open": lambda *_: '<div class="table"><table>\n',
        "table_close": lambda *_: "</table></div>\n",
        "th_open": _cell,
        "td_open": _cell,
        "math_inline": _inline_formula,
        "math_inline_double": _block_formula,
        "math_block": _block_formula,
        "math_block_eqno": _block_formula,
    }
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


def formula(source: str, *, is_block: bool) -> str:
    """Return a LaTeX formula as MathML, which browsers set by themselves; its source if it is none.

    The library's own HTML is not used: it passes the text of `\\text{}` on as it is.
    """
    display = "block" if is_block else "inline"
    if len(source) <= MAX_FORMULA:
        try:
            element = _rebuilt(convert_to_element(source.strip(), display=display))
            return ElementTree.tostring(element, encoding="unicode", method="html")
        except _FORMULA_ERRORS:
            pass
    tag = "pre" if is_block else "code"
    return f"<{tag}>{html.escape(source.strip())}</{tag}>"


def _rebuilt(element: ElementTree.Element) -> ElementTree.Element:
    """Copy an element with only what we know; text that the library encoded becomes text again."""
    name = element.tag.rpartition("}")[2]
    known = {key: value for key, value in element.attrib.items() if key in _MATH_ATTRIBUTES}
    copy = ElementTree.Element(name if name in _MATH_TAGS else "mrow", known)
    copy.text = html.unescape(element.text or "")
    copy.extend(_rebuilt(child) for child in element)
    return copy


def highlighted(code: str, language: str, _attributes: str) -> str:
    """Return a block of code with a class for each kind of word, where the language is known."""
    inner = html.escape(code)
    if language and len(code) <= MAX_HIGHLIGHTED:
        try:
            lexer = get_lexer_by_name(language.lower(), stripnl=False)
        except ClassNotFound:
            pass
        else:
            inner = pygments.highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="{CODE_CLASS}"><code>{inner}</code></pre>\n'


def _link_addresses(state: StateCore) -> None:
    """Make links of the addresses that stand bare in the text."""
    for block in state.tokens:
        if block.type != "inline" or block.children is None:
            continue
        depth, children = 0, []
        for token in block.children:
            depth += token.nesting if token.type in {"link_open", "link_close"} else 0
            is_plain = token.type == "text" and depth == 0
            children += _linked(token) if is_plain else [token]
        block.children = children


def _linked(token: Token) -> list[Token]:
    found, at = [], 0
    for match in _ADDRESS.finditer(token.content):
        found += [
            Token("text", "", 0, content=token.content[at : match.start()]),
            Token("link_open", "a", 1, attrs={"href": match[0]}),
            Token("text", "", 0, content=match[0]),
            Token("link_close", "a", -1),
        ]
        at = match.end()
    return [*found, Token("text", "", 0, content=token.content[at:])] if found else [token]


def _is_safe_link(url: str) -> bool:
    scheme, colon, _ = url.partition(":")
    return bool(colon) and scheme.strip().lower() in SCHEMES


def _image(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _o: OptionsDict, _e: EnvType
) -> str:
    token = tokens[index]
    address = html.escape(str(token.attrs.get("src", "")))
    return f'<a href="{address}">{html.escape(token.content) or address}</a>'


def _cell(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _o: OptionsDict, _e: EnvType
) -> str:
    """Write the alignment of a column as a class: the page allows no style within its HTML."""
    token = tokens[index]
    side = _ALIGNMENTS.get(str(token.attrs.get("style", "")), "")
    return f'<{token.tag} class="{side}">' if side else f"<{token.tag}>"


def _inline_formula(_renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    return formula(tokens[index].content, is_block=False)


def _block_formula(_renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    return f'<div class="formula">{formula(tokens[index].content, is_block=True)}</div>\n'

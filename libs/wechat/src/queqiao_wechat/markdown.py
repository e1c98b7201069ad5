"""Markdown, as models write it, to the text and links that a WeChat chat can show."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.emphasis import tokenize as tokenize_emphasis
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from queqiao_wechat.text import clean_text

_LONGEST_BRACKETED_HEADING = 30  # characters; a longer one reads better as a plain line
_STYLES = ("em", "strong", "s")
_WEB = ("http://", "https://")

# Bounded, so that openings without an end cost little.
_MATH = re.compile(
    r"\$\$.{1,1000}?\$\$|\$(?!\s)[^$\n]{1,500}?(?<!\s)\$(?!\d)|\\\(.{1,1000}?\\\)|\\\[.{1,1000}?\\\]",
    re.DOTALL,
)
_CJK = re.compile(r"[\u2E80-\uA4CF\uAC00-\uD7FF\uF900-\uFAFF\uFF00-\uFFEF\U00020000-\U0003FFFF]")
_ANCHOR = re.compile(r"""<a\s[^<>]*?href\s*=\s*["']?(https?://[^\s"'<>]+)[^<>]*>""", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_STYLE_TAG = re.compile(
    r"</?(?:a|b|big|center|code|div|em|font|h[1-6]|i|kbd|li|mark|ol|p|pre|q|s|small|span|strong|sub"
    r"|sup|u|ul)(?:\s[^<>]*)?/?>|<!--.*?-->",
    re.IGNORECASE | re.DOTALL,
)


_MARKUP = re.compile(r"[^\w \n，。！？、：；“”‘’（）《》…—,.!?:;]|_|^[ \d]| $|\n\n\n", re.MULTILINE)
"""What a text without any Markdown has none of; a text may have it all the same."""


def plain_text(markdown: str) -> str:
    """Return what a WeChat chat can show of an answer in Markdown; never raises.

    Headings become 【…】, list markers • or numbers, table rows lines; code and math keep their
    text; http(s) links become `<a href>`, other links `text（url）`. Text without any Markdown
    comes back as it is, save for surrounding blanks and repeated empty lines.
    """
    source = clean_text(markdown)
    if not _MARKUP.search(source):
        return source.strip("\n")  # a tenth of what egress spends on a short answer
    tokens = _PARSER.parse(source)
    for token in tokens:
        token.children = _without_styles(token.children or [])
    return _blocks(SyntaxTreeNode(tokens).children, source.split("\n")).strip("\n")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    # In a chat, an indented line is no code, a line over `---` no heading, `[1]: ...` a footnote
    # to be read; and HTML is kept inline, where its text is still read as Markdown.
    parser.disable(["code", "lheading", "reference", "html_block"])
    parser.inline.ruler.before("escape", "math", _math_rule)
    parser.inline.ruler.at("emphasis", _emphasis_rule)
    return parser


def _math_rule(state: StateInline, silent: bool) -> bool:
    """Keep a formula as it is: its backslashes and underscores are not Markdown."""
    match = _MATH.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("math", "", 0).content = match[0]
    state.pos = match.end()
    return True


def _emphasis_rule(state: StateInline, silent: bool) -> bool:
    """Read `*` as Chinese text and sums need it; CommonMark has neither in mind."""
    start, known = state.pos, len(state.delimiters)
    if not tokenize_emphasis(state, silent):
        return False
    before, after = state.src[start - 1 : start] or " ", state.src[state.pos : state.pos + 1] or " "
    for delimiter in state.delimiters[known:] if state.src[start] == "*" else ():
        if _is_ascii_word(before) and _is_ascii_word(after):
            delimiter.open = delimiter.close = False  # 3*4*5
        else:  # **注意：**请看: punctuation inside, and no space outside
            delimiter.open |= bool(_CJK.match(before)) and not after.isspace()
            delimiter.close |= bool(_CJK.match(after)) and not before.isspace()
    return True


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and character.isalnum()


_PARSER = _parser()


def _without_styles(spans: Sequence[Token]) -> list[Token]:
    """Drop what a chat cannot show before the tree is built: it may nest thousands deep."""
    kept = [span for span in spans if span.tag not in _STYLES]
    for span in kept:
        span.children = None  # an image's: its text is in its content too
    return kept


def _blocks(nodes: Sequence[SyntaxTreeNode], lines: Sequence[str]) -> str:
    """Join blocks, with an empty line between two that have one in the source."""
    text = ""
    for node in nodes:
        block = _block(node, lines)
        start = node.map[0] if node.map else 0
        gap = "\n" if lines[max(start - 1, 0)].strip() else "\n\n"
        text = f"{text}{gap}{block}" if text and block else text + block
    return text


def _block(node: SyntaxTreeNode, lines: Sequence[str]) -> str:
    match node.type:
        case "paragraph":
            return _chinese_indent(node, lines) + _blocks(node.children, lines)
        case "heading":
            return _heading(_blocks(node.children, lines))
        case "fence":
            return node.content.rstrip("\n")
        case "hr":
            return "————"
        case "blockquote":
            return _indent(_blocks(node.children, lines), "｜", "｜")
        case "bullet_list":
            return _list(node.children, lines, lambda _: "• ")
        case "ordered_list":
            first = int(node.attrs.get("start", 1))
            return _list(node.children, lines, partial(_number, first, node.children[0].markup))
        case "tr":
            return " | ".join(_blocks(cell.children, lines) for cell in node.children)
        case "inline":
            return _inline(node.children)
        case _:
            return _blocks(node.children, lines)


def _chinese_indent(paragraph: SyntaxTreeNode, lines: Sequence[str]) -> str:
    """Return the wide spaces before a paragraph: the parser trims them, Chinese typography not."""
    first = lines[paragraph.map[0]] if paragraph.map else ""
    return first[: len(first) - len(first.lstrip("\u3000"))]


def _heading(text: str) -> str:
    is_plain = len(text) > _LONGEST_BRACKETED_HEADING or not text or re.search("[【】<\n]", text)
    return text if is_plain else f"【{text}】"


def _number(first: int, delimiter: str, index: int) -> str:
    return f"{first + index}{delimiter} "


def _list(
    items: Sequence[SyntaxTreeNode], lines: Sequence[str], marker: Callable[[int], str]
) -> str:
    return "\n".join(
        _indent(_blocks(item.children, lines), marker(index), "  ")
        for index, item in enumerate(items)
    )


def _indent(text: str, first: str, others: str) -> str:
    return first + re.sub(r"\n(?!\n)", f"\n{others}", text)


def _inline(nodes: Sequence[SyntaxTreeNode]) -> str:
    return "".join(_spans(nodes))


def _spans(nodes: Sequence[SyntaxTreeNode]) -> Iterator[str]:
    in_anchor = False
    for node in nodes:
        if node.type != "html_inline":
            yield _span(node)
        elif anchor := _ANCHOR.fullmatch(node.content):
            in_anchor = True
            yield f'<a href="{anchor[1]}">'
        elif in_anchor and node.content.lower() == "</a>":
            in_anchor = False
            yield "</a>"
        else:
            yield _STYLE_TAG.sub("", _LINE_BREAK.sub("\n", node.content))


def _span(node: SyntaxTreeNode) -> str:
    match node.type:
        case "softbreak" | "hardbreak":
            return "\n"
        case "link":
            return _link(_inline(node.children), str(node.attrs["href"]))
        case "image":
            return _link(node.content or "图片", str(node.attrs["src"]))
        case _:
            return node.content


def _link(text: str, url: str) -> str:
    if not url or text in (url, url.removeprefix("mailto:")):
        return text
    if url.startswith(_WEB):
        return f'<a href="{url}">{text or url}</a>'
    return f"{text}（{url}）"

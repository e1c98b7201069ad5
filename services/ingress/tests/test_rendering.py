"""What a model wrote, shown: and nothing in it does anything."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_ingress.rendering import MAX_MARKDOWN, formula, render

ALLOWED = re.compile(r"https?://.*|mailto:.*", re.IGNORECASE | re.DOTALL)
TAGS = re.compile(
    r"a|p|br|hr|em|strong|s|blockquote|ul|ol|li|h[1-6]|pre|code|span|div|table|thead|tbody|t[rhd]"
    r"|math|m(row|[inos]|text|space|frac|sqrt|root|sub|sup|subsup|under|over|underover)"
    r"|m(multiscripts|prescripts|table|t[rd]|padded|phantom|style|enclose)|none"
)


class Reader(HTMLParser):
    """Reads HTML as a browser does, and notes what must not be in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if TAGS.fullmatch(tag) is None:
            self.found.append(tag)
        for name, value in attrs:
            if name == "href" and not ALLOWED.fullmatch(value or ""):
                self.found.append(f"href={value}")
            if name.startswith("on") or name in {"style", "src", "srcdoc", "id", "xlink:href"}:
                self.found.append(name)

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.found.append("comment")

    def handle_decl(self, decl):
        self.found.append("declaration")


def read(markdown: str) -> Reader:
    reader = Reader()
    reader.feed(render(markdown))
    reader.close()
    return reader


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>@import 'https://e.example'</style>",
    "<!-- x --><!DOCTYPE html><base href=//e.example>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "[x](//e.example)",
    "[x](/wechat/main)",
    '[x](https://a.example/"onmouseover="alert(1))',
    "[x](https://a.example 'a\" onmouseover=\"alert(1)')",
    "![x](https://tracker.example/pixel.gif)",
    '![x" onerror="alert(1)](https://a.example/x.png)',
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '<https://a.example/" onclick="alert(1)>',
    "<javascript:alert(1)>",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "```python\n'</code></pre><script>alert(1)</script>'\n```",
    "    <script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "$\\text{<script>alert(1)</script>}$",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$$\\href{javascript:alert(1)}{x}$$",
    "$\\style{background:url(//e.example)}{x}$",
    '$\\class{x" onload="alert(1)}{x}$',
    '$\\color{red" onload="alert(1)}{x}$',
    "$\\unicode{60}script>$",
    "\\(<script>alert(1)</script>\\)",
    "\\[\n\\text{</math><script>alert(1)</script>}\n\\]",
    "$&lt;script&gt;$",
    "| <script>alert(1)</script> | `a` |\n|:-:|-|\n| <img src=x onerror=alert(1)> | x |",
    "# <script>alert(1)</script>",
    "[a]: javascript:alert(1)\n\n[a]",
    'www.e.example"onclick=alert(1)',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\ud800<script>",
    "\x00<script>",
]


@pytest.mark.parametrize("markdown", HOSTILE)
def test_nothing_that_a_model_writes_does_anything(markdown):
    """It writes what its users make it write, and the page is shown to others."""
    assert read(markdown).found == []


@given(
    st.text(st.characters(), max_size=300)
    | st.lists(st.sampled_from(HOSTILE), max_size=4).map("\n\n".join)
    | st.lists(st.sampled_from(HOSTILE + list("$`|<>\"'\\()[]{}# \n&;")), max_size=12).map("".join)
)
def test_no_mixture_of_it_does_either(markdown):
    assert read(markdown).found == []


def test_html_is_shown_as_it_was_written():
    assert "<script>alert(1)</script>" in read("a <script>alert(1)</script>").text


@pytest.mark.parametrize(
    ("markdown", "part"),
    [
        ("**粗** *斜* ~~删~~ `码`", "<strong>粗</strong> <em>斜</em> <s>删</s> <code>码</code>"),
        ("一\n二", "一<br>"),
        ("1. 一\n2. 二", "<ol>\n<li>一</li>"),
        ("3. 一", '<ol start="3">'),
        ("> 引", "<blockquote>"),
        ("|甲|乙|\n|:-|-:|\n|1|2|", '<th class="l">甲</th>\n<th class="r">乙</th>'),
        ("```python\nprint(1)\n```", '<pre class="code"><code><span class="nb">print</span>'),
        ("```nonsense\nprint(1)\n```", '<pre class="code"><code>print(1)\n</code></pre>'),
        ("$x^2$", "<msup><mi>x</mi><mn>2</mn></msup>"),
        ("\\(x\\)", '<math display="inline">'),
        ("$$\nx\n$$", '<div class="formula"><math display="block">'),
        ("\\[\nx\n\\]", '<div class="formula"><math display="block">'),
        ("见 https://a.example/x。", '<a href="https://a.example/x" rel="noopener noreferrer'),
        ("见https://a.example/x?b=1，再说", ">https://a.example/x?b=1</a>，再说"),
        ("[甲](https://a.example/x)", ">甲</a>"),
        ("`https://a.example`", "<code>https://a.example</code>"),
        ("![图](https://a.example/x.png)", '<a href="https://a.example/x.png"'),
    ],
)
def test_what_models_write_is_shown_as_they_mean_it(markdown, part):
    assert part in render(markdown)


def test_prices_are_no_formula():
    assert "<math" not in render("苹果 $5，梨 $6 一斤，共 $11。")


@pytest.mark.parametrize("source", ["{" * 1900, "\\frac", "x^", "a" * 2001, "\\left(", ""])
def test_what_is_no_formula_is_shown_as_its_source(source):
    assert formula(source, is_block=False) in {
        f"<code>{source}</code>",
        formula("", is_block=False),
    }


def test_a_huge_answer_is_shown_without_being_read():
    """Reading is linear but not cheap, and callbacks are to be answered meanwhile."""
    page = render("**x**\n" * MAX_MARKDOWN)

    assert page.startswith("<pre>**x**")

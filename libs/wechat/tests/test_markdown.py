import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.markdown import plain_text

CHINESE = st.text("的一是了我不在人有他这中大来上个国，。！？、：；“”（）《》…— 0123456789abcXYZ")
LINES = st.lists(CHINESE.map(str.strip).filter(bool), min_size=1).map("\n".join)


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("# 标题\n正文", "【标题】\n正文"),
        ("### 这是一个**重要**的标题 ###", "【这是一个重要的标题】"),
        ("# " + "很长的标题" * 7, "很长的标题" * 7),
        ("# 【已有】", "【已有】"),
        ("**粗** *斜* ***都*** __粗__ ~~删~~", "粗 斜 都 粗 删"),
        ("**注意：**请看**“引用”**后面", "注意：请看“引用”后面"),
        ("**用 `x`：**后面", "用 x：后面"),
        ("3*4*5=60，2**3", "3*4*5=60，2**3"),
        ("snake_case_name", "snake_case_name"),
        ("- 一\n- 二\n  - 三", "• 一\n• 二\n  • 三"),
        ("- 一\n\n  续\n- 二", "• 一\n\n  续\n• 二"),
        ("3. 甲\n4. 乙", "3. 甲\n4. 乙"),
        ("1) 甲\n2) 乙", "1) 甲\n2) 乙"),
        ("> 引用\n> 二行", "｜引用\n｜二行"),
        ("运行 `pip install x`：", "运行 pip install x："),
        ("```python\ndef f(x):\n    return x**2\n```", "def f(x):\n    return x**2"),
        ("```\n没有结尾", "没有结尾"),
        ("    缩进不是代码", "缩进不是代码"),
        ("上\n\n---\n\n下", "上\n\n————\n\n下"),
        ("上\n---\n下", "上\n————\n下"),
        (
            "[百度](https://www.baidu.com/?a=1&b=2)",
            '<a href="https://www.baidu.com/?a=1&b=2">百度</a>',
        ),
        ('[x](https://a.example/"q")', '<a href="https://a.example/%22q%22">x</a>'),
        ("[本地](docs/a.md)", "本地（docs/a.md）"),
        ("[](https://a.example/)", '<a href="https://a.example/">https://a.example/</a>'),
        ("<https://a.example/x_y_z>", "https://a.example/x_y_z"),
        ("https://a.example/x_y_z?a=1&b=2", "https://a.example/x_y_z?a=1&b=2"),
        ("<me@a.example>", "me@a.example"),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("![图](https://a.example/i.png)", '<a href="https://a.example/i.png">图</a>'),
        ("![](https://a.example/i.png)", '<a href="https://a.example/i.png">图片</a>'),
        ("<a href='https://a.example/' target=x>按</a>", '<a href="https://a.example/">按</a>'),
        ("<a href='javascript:x'>按</a>", "按"),
        ("<b>粗</b><br/>行<!-- 注 -->", "粗\n行"),
        ("vector<int> a < b && c > d <your_key>", "vector<int> a < b && c > d <your_key>"),
        ("AT&amp;T", "AT&T"),
        ("| 名 | 价 |\n|---|---|\n| A | 3 |\n| **B** | 4 |", "名 | 价\nA | 3\nB | 4"),
        ("$a_i * b_i * c$ 和 $$x_1 \\\\ y_1$$", "$a_i * b_i * c$ 和 $$x_1 \\\\ y_1$$"),
        ("\\(x_1 + y_1\\) \\[ \\frac{a}{b} \\]", "\\(x_1 + y_1\\) \\[ \\frac{a}{b} \\]"),
        ("价格 $5 和 $6", "价格 $5 和 $6"),
        ("\\*不是斜体\\*", "*不是斜体*"),
        ("[1]: https://a.example/", "[1]: https://a.example/"),
        ("　　缩进的段落\n　　第二行\n\n　　又一段", "　　缩进的段落\n　　第二行\n\n　　又一段"),
        ("一\n\n\n\n二\n", "一\n\n二"),
        ("a\x00b", "ab"),
        ("", ""),
    ],
)
def test_markdown_becomes_what_a_chat_shows(markdown, plain):
    assert plain_text(markdown) == plain


@given(st.one_of(st.text(), st.text("#*_`~[]()<>!|-+=.$\\&;:/ahref\n 123中，\t\"'", max_size=200)))
def test_no_text_makes_it_raise(markdown):
    assert isinstance(plain_text(markdown), str)


@given(st.text("中文a_ \n\u3000，。.!?:;)（—", max_size=60))
def test_a_text_reads_the_same_whether_or_not_markdown_follows(text):
    """What is recognised as having none is not parsed."""
    read = plain_text(text).rstrip()
    behind = "\n\n" if read else ""

    assert plain_text(f"{text.rstrip()}\n\n**尾**") == f"{read}{behind}尾"


@given(LINES)
def test_chinese_without_markup_comes_back_unchanged(text):
    assert plain_text(text) == text


@pytest.mark.parametrize("hostile", ["\\(", "$$", "$a", "**中", "[", "<a ", "> ", "- ", "`", "|"])
def test_hostile_repetition_is_read_like_any_text(hostile):
    assert isinstance(plain_text(hostile * 2000), str)


@pytest.mark.parametrize("mark", ["*", "**", "_", "~~"])
def test_styles_may_nest_without_end(mark):
    assert plain_text(f"{mark}a " * 3000 + f"a{mark} " * 3000).startswith("a a a")

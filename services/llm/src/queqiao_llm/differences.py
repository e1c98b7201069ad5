"""Whether two questions that look alike ask the same. Pure.

Likeness alone cannot tell: 开通 and 关闭 differ in one word, 7 天 and 15 天 in a digit, and no
score, of characters or of a neural network, tells such near misses from rewordings. So a stored
answer is given only where nothing of these differs and every character of content is accounted for.
Where something does, it may still be offered: the user sees the question and decides.
"""

import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from queqiao_llm.matching import Vocabulary, normalise


class Facet(Struct, frozen=True):
    """Something that tells questions apart: words (`word/word`) in classes.

    Questions differ where their classes do; unless `is_marked`, only where both have some.
    """

    name: str
    classes: tuple[str, ...]
    is_marked: bool = False


FACETS = (
    Facet(
        "asked",
        (
            "多少钱/价格/费用/收费/价位/什么价/怎么算钱/怎么算/计费/计价/几块钱/怎么卖/贵/便宜",
            "几点/几时/多久/多长/几天/几个月/几小时/几年/几周/多少天/多少时间/什么时候/何时/哪天",
            "哪里/哪儿/在哪/去哪/上哪/什么地方/何处/地址/位置/地点",
            "为什么/为啥/为何/什么原因",
            "谁/哪位/什么人",
            "多少/几个/几次/几本/几位/几名/几张/几种/几档/几回/几节/几人",
        ),
        is_marked=True,
    ),
    Facet("clock", ("几点/几时", "多久/多长/几天/几个月/几小时/几年/几周/多少天")),
    Facet(
        "mode",
        (
            "怎么/如何/怎样/咋/方法/步骤/流程/方式",
            "可以/可否/能否/能不能/可不可以/行不行/让不让/允许/能",
            "需要/要不要/必须/用不用/需不需要",
        ),
    ),
    Facet("order", ("以前/之前/前", "以后/之后/后")),
    Facet(
        "undo",
        (
            "取消/关闭/停止/关掉/撤销/终止/停用/退订/解除/解绑/注销/销户/删除/删掉",
            "暂停/冻结",
            "恢复/解冻",
        ),
        is_marked=True,
    ),
    Facet(
        "again",
        ("续费/续借/续约/续期/续订/续", "补办/补考/补缴/补课/补"),
        is_marked=True,
    ),
    Facet("start", ("开通/开启/启用/激活/注册/开户", "取消/关闭/停止/停用/退订/注销/销户")),
    Facet("bound", ("绑定", "解绑/解除")),
    Facet("door", ("开门/营业/开放/上班", "关门/打烊/闭馆/下班")),
    Facet("stay", ("入住", "退房/离店")),
    Facet("trade", ("购买/买", "出售/卖")),
    Facet("cash", ("充值/存", "提现/取现/取")),
    Facet("receipt", ("收到", "收不到/没收到/没有收到")),
    Facet("degree", ("最多/最高/上限/最大", "最少/最低/下限/最小")),
    Facet("early", ("最早", "最晚")),
    Facet("change", ("升级/增加/加", "降级/减少/减")),
    Facet("size", ("大", "小")),
    Facet("half", ("上午/早上", "下午", "晚上/夜间"), is_marked=True),
    Facet("sex", ("男", "女"), is_marked=True),
    Facet("age", ("成人/大人", "儿童/孩子/小孩/小朋友/宝宝", "老人/老年/长者"), is_marked=True),
    Facet("role", ("学生/学员", "老师/教师"), is_marked=True),
    Facet("unit", ("元/块", "天/日", "周/星期/礼拜", "月", "季度", "年", "小时", "分钟")),
    Facet(
        "weekday",
        (
            "周一/星期一/礼拜一",
            "周二/星期二/礼拜二",
            "周三/星期三/礼拜三",
            "周四/星期四/礼拜四",
            "周五/星期五/礼拜五",
            "周六/星期六/礼拜六/周末/双休日",
            "周日/星期日/星期天/礼拜天/周末/双休日",
        ),
        is_marked=True,
    ),
    Facet("abroad", ("国内/境内", "国外/境外/海外"), is_marked=True),
    Facet("line", ("线上/网上", "线下/门店/柜台"), is_marked=True),
    Facet("pay", ("微信", "支付宝", "银行卡", "信用卡", "现金"), is_marked=True),
)
NEUTRAL = """
提前 前台 前往 后台 售后 后果 最后 然后 目前 前面 后面 功能 性能 智能 能力 能源 技能 可能 修改
装修 增加 参加 公里 买单 存折 领取 提取 获取 录取 年卡 年龄 生日 日期 日常 月嫂 月子 月票 周边
周期 天气 天然气 礼拜堂 子女 是多少 加床 附加 更加 加入 加班 补贴 继续 手续 手续费 大概 大约
大家 大学 大型 大厅 小时 小区 小学 小程序 小狗 小猫 小朋友们 不小心 一下子
"""
"""Words in which a word of a facet means something else: they are read as a whole."""

LIGHT = frozenset("次家们做本位张条份些里过着地所呗哪吃")
"""Characters that may be missing on one side without changing what is asked."""
_COUNTED = frozenset("0123456789.零两二三四五六七八九十百千万")
"""Characters of numbers, which are compared by their value."""

_NO_NEGATION = re.compile(
    r"(?P<verb>[\u4e00-\u9fff])[不没](?P=verb)|不好意思|差不多|分别|特别|别人|级别|区别|性别|类别|别的"
    r"|非常|无线|无论|不过|不仅|不但|[了吗]?没有?$|不$|不想|不小心|不记得|记不清|记不得|想不起来|不见了"
)
_NEGATION = re.compile(r"[不没别非无未勿]")
_NAMES = re.compile(r"[a-z][a-z0-9+#]*")
_NUMBERS = re.compile(
    r"(?P<digits>[0-9]+(?:\.[0-9]+)?)(?P<unit>[\u4e00-\u9fff%]?)"
    r"|(?<!周)(?<!星期)(?<!礼拜)(?P<chinese>[零一二两三四五六七八九十百千万]+)(?P<counted>[\u4e00-\u9fff]?)"
)
_NUMERALS = {one: value for value, one in enumerate("零一二三四五六七八九")} | {"两": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000}


def difference(asked: str, stored: str, vocabulary: Vocabulary) -> str:
    """Name the first thing in which a question differs from a stored one; nothing: they are one."""
    for name, ours, theirs in _compared(normalise(asked), normalise(stored)):
        if ours != theirs:
            return name
    if _unshared(vocabulary.canonical(asked), vocabulary.canonical(stored)) - LIGHT - _COUNTED:
        return "wording"
    return ""


def _compared(asked: str, stored: str) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    yield "number", numbers(asked), numbers(stored)
    yield "name", _names(asked), _names(stored)
    yield "negation", _negation(asked), _negation(stored)
    ours, theirs = _classes(asked), _classes(stored)
    for facet in FACETS:
        one, other = ours.get(facet.name, frozenset()), theirs.get(facet.name, frozenset())
        if facet.is_marked or (one and other):
            yield facet.name, one, other


def _unshared(asked: str, stored: str) -> set[str]:
    """Return the characters that one of the two has more often."""
    ours, theirs = Counter(asked), Counter(stored)
    return {*(ours - theirs), *(theirs - ours)}


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of a normalised text with what they count, in one spelling.

    A lone 一 is an article (一个班), and no number; nor is the 六 of 周六.
    """
    found = set()
    for match in _NUMBERS.finditer(text):
        if match["digits"]:
            found.add(f"{float(match['digits']):g}{match['unit']}")
        elif match["chinese"] != "一":
            found.add(f"{_value(match['chinese'])}{match['counted']}")
    return frozenset(found)


def _value(numeral: str) -> int:
    """Read a Chinese numeral; one without powers of ten (二四) is read digit by digit."""
    total = section = digit = 0
    for one in numeral:
        if one in _NUMERALS:
            digit = digit * 10 + _NUMERALS[one]
        elif one in _POWERS:
            section, digit = section + (digit or 1) * _POWERS[one], 0
        else:
            total, section, digit = (total + section + digit or 1) * 10_000, 0, 0
    return total + section + digit


def _names(text: str) -> frozenset[str]:
    """Return the words in Latin letters: brands, programs, forms."""
    return frozenset(_NAMES.findall(text)) - {"vip"}


def _negation(text: str) -> frozenset[str]:
    return frozenset(["not"] if _NEGATION.search(_NO_NEGATION.sub("", text)) else ())


def _classes(text: str) -> dict[str, frozenset[str]]:
    """Return, by facet, the classes of which a normalised text has a word."""
    found: dict[str, frozenset[str]] = {}
    for word in _WORDS.findall(text):
        for facet, label in _CLASSES[word]:
            found[facet] = found.get(facet, frozenset()) | {label}
    return found


def _read_words() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return each word of the facets with all the classes that it stands in."""
    classes: dict[str, tuple[tuple[str, str], ...]] = dict.fromkeys(NEUTRAL.split(), ())
    for facet in FACETS:
        for label in facet.classes:
            for word in label.split("/"):
                classes[word] = (*classes.get(word, ()), (facet.name, label))
    return classes


_CLASSES = _read_words()
_WORDS = re.compile("|".join(map(re.escape, sorted(_CLASSES, key=len, reverse=True))))

"""Whether a question may be answered for everybody at once. Pure.

The cache is shared by all users of an account, so only what is complete in itself, asks for nothing
that changes from day to day, and says nothing of the one who asks may pass. Where in doubt, the
model is asked: a slow answer is better than somebody else's.
"""

import re
from collections.abc import Sequence

from queqiao_common.events import Prompt

from queqiao_llm.matching import normalise

SHORTEST, LONGEST = 4, 60
"""Characters of a normalised question: less is small talk, more is a story."""

_HERE = re.compile(r"(?:你们?|您|咱们?)?(?:这边|那边|这里|那里|这儿|那儿)")
_NOBODY = re.compile(
    r"自我|我国|我(?:们)?(?=想|要|该|应该|能|可以|需要|怎么|如何|怎样|咋|如果|是否|是不是|可不可以)"
)
"""Where 我 says nothing of the one who asks."""
_REASONS = {
    "personal": re.compile(
        r"[我俺咱]|本人|自家|朕|\b(?:i|i'm|my|mine|me|we|our)\b"
        r"|(?:订|运|单|流水|快递|工单|取件|取货|会员卡|身份证|护照|银行卡|手机|学)号(?:是|为|[:：])"
        r"|订单号|运单号|快递单号|流水号|尾号|叫做?[\u4e00-\u9fff]{2,3}$|姓名是|名字[是叫]"
    ),
    "person": re.compile(
        r"(?<![由关对至经也或任如提最是等])[赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕施张孔曹严金魏陶姜谢邹苏潘葛"
        r"范彭鲁韦马方任袁柳唐薛雷贺汤罗郝安常于傅齐康余顾孟黄萧尹姚邵汪毛戴宋庞熊纪舒项董梁杜阮蓝季贾江颜郭梅林"
        r"钟徐邱骆高夏蔡田胡凌霍万柯卢莫房丁邓洪崔龚程陆翁段侯武刘龙叶黎白赖乔谭冉曾易廖文欧]"
        r"(?:先生|女士|小姐|老师|医生|大夫|经理|主任|教授|律师|师傅|教练|阿姨|叔叔|同学)"
    ),
    "number": re.compile(
        r"[0-9][0-9\s\-]{3,}[0-9]"
        r"|\b(?=[a-z0-9]*[0-9]{2})(?=[a-z0-9]*[a-z])[a-z0-9]{6,}\b"
    ),
    "address": re.compile(r"[\w.+-]+@[\w-]+|https?:|www\.|\b[\w-]+\.(?:com|cn|net|org)\b"),
    "date": re.compile(
        r"[0-9]{4}年|[0-9一二三四五六七八九十]+月[0-9一二三四五六七八九十]*[日号]?(?!卡|票|子|租|付|供|内|以)"
        r"|[0-9]{1,2}[日号]|[0-9]{1,2}[:：][0-9]{2}|[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,2}"
    ),
    "moment": re.compile(
        r"今[天日早晚晨夜年]|明[天日早晚年]|昨[天日晚]|[前后]天|去年|现在|目前|当前|此刻|这会儿?|刚刚|刚才|刚[才刚]"
        r"|最近|近期|最新|近来|实时|[这本上下][个一]?(?:周|星期|礼拜|月|季度|学期|年(?!级|费|卡|龄))|马上|待会|一会儿|稍后"
        r"|天气|气温|新闻|股[价市票]|汇率|油价|金价|行情|比分|疫情|热搜|几月几|星期几|礼拜几|周几"
        r"|\b(?:today|now|tomorrow|yesterday|tonight|current|latest|weather)\b"
    ),
    "context": re.compile(
        r"[这那]|[它他她]|其[中他它]|上面|上述|^以上|以上的?[内都]|下面|前面|刚说|之前[说问讲]|^继续|接着"
        r"|再[来说讲写]|重新[说讲写]|还有[呢吗吧]?$|^(?:还[有能要是可会]|另外|然后|所以|但|可是|不过|而且)"
        r"|^(?!.*(?:怎么|如何|什么|多|几|哪|谁|能|可以|为)).*呢[?？]?$"
        r"|^(?:好|是|对|嗯|行|可以|不是|没有)[的了吧啊呢哦呀]*$|^(?:谢谢|感谢|收到|知道).{0,6}$"
    ),
    "creative": re.compile(
        r"[写作编画唱](?:一?[首篇段个封份张副条]|诗|歌|词|文)|讲个|说个|来[个首段]|笑话|段子|故事|随机|抽签|抽一|猜"
        r"|起[个名]|取[个名]|翻译|润色|改写|总结|概括|扮演|聊聊|陪我"
    ),
    "grave": re.compile(r"自杀|自残|轻生|不想活|活不下去|想死|去死|救命|家暴|性侵|报警|急救|遗书"),
}
"""What keeps a question out, by the reason that operators see."""
_HAS_PLACE = ("context",)


def unfit(question: str) -> str:
    """Say why a question may not be answered from the cache, nor its answer kept; nothing: it may.

    The rules see the words alone. They are meant to refuse too much.
    """
    if "\n" in question.strip():
        return "several"
    size = len(normalise(question))
    if not SHORTEST <= size <= LONGEST:
        return "length"
    text = _NOBODY.sub("", question.lower())
    for reason, pattern in _REASONS.items():
        if pattern.search(_HERE.sub("", text) if reason in _HAS_PLACE else text):
            return reason
    return ""


def first_question(prompt: Sequence[Prompt]) -> str:
    """Return the question of a turn that has no history; nothing where there is one."""
    said = [message for message in prompt if message.role != "system"]
    return said[0].content if len(said) == 1 and said[0].role == "user" else ""

"""The examples, in two halves by topic: one to tune with, one to report."""

import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import msgspec
from msgspec import Struct

FILE = Path(__file__).with_name("questions.toml")

_THINGS = """
护照 签证 身份证 居住证 结婚证 户口 档案 学位证 教材 作业 夏令营 早教班 钢琴课 舞蹈课 美术班
书法课 编程课 奥数班 托福课 空调 冰箱 洗衣机 热水器 油烟机 沙发 地毯 窗帘 马桶 管道 宽带 路由器
电视 机顶盒 话费 流量 套餐 座机 快递柜 洗衣店 理发 美容 美甲 按摩 瑜伽 羽毛球场 篮球场 乒乓球
滑雪 温泉 电影票 演唱会 话剧 展览 博物馆 动物园 植物园 游乐场 水族馆 火车票 机票 汽车票 船票
地铁卡 公交卡 共享单车 租车 代驾 洗车 加油卡 年检 违章 驾照 车牌 保险 理赔 贷款 房贷 公积金 基金
理财 存款 外汇 信用卡 支票 个税 社保卡 养老金 生育津贴 廉租房 学区房 租房合同 中介费 水表 电表
暖气 宠物医院 猫粮 狗粮 疫苗 牙科 洗牙 眼镜 中药 化验单 病历 住院 陪护 月子中心 养老院 护工 花店
蛋糕 外卖 餐厅 包间 自助餐 婚宴 年夜饭 礼品卡 优惠券 红包 积分 会员卡 头像 昵称 实名认证 客服
直播 课程 证书 比赛 志愿者 社区 电子书 报纸 杂志
"""
_ASKED = """
怎么办理 多少钱 在哪里办 可以退吗 怎么取消 怎么预约 几点开始 多久能好 需要什么材料 怎么修改
丢了怎么办 可以转让吗 有优惠吗 怎么查询 怎么续费 过期了怎么办 可以代办吗 坏了怎么修 怎么投诉
怎么开通 周末可以办吗 要提前几天 有年龄限制吗 怎么收费 可以分期吗 怎么选 哪家好 有效期多久
怎么激活 怎么注销 可以换吗 能带走吗 怎么报名 有电子版吗 能不能异地办 要排队吗 什么时候截止
怎么打印 可以改名字吗 怎么付款 支持微信吗 孩子可以用吗 老人怎么用 有没有试用 怎么联系 送货上门吗
有保修吗 怎么安装 可以叠加吗 几个人用 怎么保养 怎么清洗 多大可以用 有发票吗 怎么评价
可以开两个吗 能共用吗 怎么升级 怎么恢复 有教程吗 怎么充值 有押金吗 能送人吗 怎么验真伪
有哪些种类 怎么存放 可以预订吗 多久更新一次 有什么风险 怎么申诉 有几种颜色 要不要预约
可以单独买吗 怎么设置 可以多人用吗 要带证件吗 可以线上办吗
"""


class Question(Struct, frozen=True):
    """A question that an operator keeps the answer to, how people ask it, and near misses."""

    question: str
    wordings: tuple[str, ...]
    near: tuple[str, ...]


class Topic(Struct, frozen=True):
    """Questions of one trade."""

    name: str
    questions: tuple[Question, ...]


class Unrelated(Struct, frozen=True):
    """Questions that have nothing to do with any of them."""

    tuning: tuple[str, ...]
    held_out: tuple[str, ...]


class Half(Struct, frozen=True):
    """Half of the topics, and half of what is unrelated."""

    name: str
    questions: tuple[Question, ...]
    unrelated: tuple[str, ...]


class _Examples(Struct, frozen=True):
    topics: tuple[Topic, ...]
    unrelated: Unrelated


def read() -> tuple[Half, Half]:
    """Return the half to tune with, and the one that is held out: every second topic."""
    examples = msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), _Examples)

    def half(name: str, first: int, unrelated: tuple[str, ...]) -> Half:
        topics = examples.topics[first::2]
        return Half(name, tuple(one for topic in topics for one in topic.questions), unrelated)

    return (
        half("tuning", 0, examples.unrelated.tuning),
        half("held out", 1, examples.unrelated.held_out),
    )


def crowd() -> Iterator[str]:
    """Yield some ten thousand other questions of all trades, to fill the cache with."""
    for thing, asked in product(_THINGS.split(), _ASKED.split()):
        yield thing + asked

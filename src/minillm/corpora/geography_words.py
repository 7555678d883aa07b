"""The sentences in which `geo_facts` asks and tells, in each of its languages.

Book: chapter "Question answering and retrieval".
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
TITLES: dict[Language, str] = {"en": "English", "zh": "Chinese"}


class Sentence(NamedTuple):
    """How to ask for a fact about {country}, and how to tell that it is {value}."""

    question: str
    fact: str


SENTENCES: dict[Language, dict[str, Sentence]] = {
    "en": {
        "capital": Sentence(
            "What is the capital of {country}?", "The capital of {country} is {value}."
        ),
        "continent": Sentence(
            "On which continent is {country}?", "{country} belongs to the continent {value}."
        ),
        "currency": Sentence(
            "What is the currency of {country}?", "The currency of {country} is the {value}."
        ),
        "language": Sentence(
            "What is the official language of {country}?",
            "The official language of {country} is {value}.",
        ),
        "neighbours": Sentence(
            "How many land neighbours does {country} have?",
            "The number of land neighbours of {country} is {value}.",
        ),
        "domain": Sentence(
            "What is the internet domain of {country}?",
            "The internet domain of {country} is {value}.",
        ),
    },
    "zh": {
        "capital": Sentence("{country}的首都或首府是哪里？", "{country}的首都或首府是{value}。"),
        "continent": Sentence("{country}位于哪个大洲？", "{country}位于{value}。"),
        "currency": Sentence("{country}使用什么货币？", "{country}使用的货币是{value}。"),
        "language": Sentence("{country}的官方语言是什么？", "{country}的官方语言是{value}。"),
        "neighbours": Sentence(
            "{country}有几个陆地邻国或邻区？", "{country}的陆地邻国或邻区数为{value}。"
        ),
        "domain": Sentence("{country}的互联网域名是什么？", "{country}的互联网域名是{value}。"),
    },
}

WHOSE_CAPITAL: dict[Language, str] = {
    "en": "Which country or territory has the capital {value}?",
    "zh": "{value}是哪个国家或地区的首都或首府？",
}

# Cities after which no time zone is named.
CAPITALS_ZH = {
    "Abu Dhabi": "阿布扎比",
    "Abuja": "阿布贾",
    "Ankara": "安卡拉",
    "Beijing": "北京",
    "Belgrade": "贝尔格莱德",
    "Bern": "伯尔尼",
    "Brasilia": "巴西利亚",
    "Buenos Aires": "布宜诺斯艾利斯",
    "Canberra": "堪培拉",
    "Doha": "多哈",
    "Hanoi": "河内",
    "Islamabad": "伊斯兰堡",
    "Kathmandu": "加德满都",
    "Kyiv": "基辅",
    "New Delhi": "新德里",
    "Ottawa": "渥太华",
    "Pretoria": "比勒陀利亚",
    "Quito": "基多",
    "Rabat": "拉巴特",
    "Washington": "华盛顿",
    "Wellington": "惠灵顿",
}

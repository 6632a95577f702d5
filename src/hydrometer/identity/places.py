"""Whether a place that an answer gives for "my company" can be true of the card's maker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydrometer.identity.cards import Maker

#: Places that answers about a company's home tend to give, by country; both languages, lower case.
_COUNTRIES = {
    "United States": "usa|u.s.a|us|u.s|america|american|california|san francisco|silicon valley|bay area|new york|"
    "seattle|boston|los angeles|texas|austin|washington|stanford|berkeley|chicago|mountain view|menlo park|palo alto|"
    "redmond|cupertino|santa clara|美国|加州|加利福尼亚|旧金山|硅谷|湾区|纽约|西雅图|波士顿|洛杉矶|华盛顿",
    "China": "chinese|beijing|shanghai|shenzhen|hangzhou|guangzhou|hong kong|中国|北京|上海|深圳|杭州|广州|香港|中关村",
    "Japan": "japanese|tokyo|osaka|kyoto|日本|东京|大阪",
    "United Kingdom": "uk|u.k|england|britain|british|london|oxford|edinburgh|英国|伦敦|牛津",
    "France": "french|paris|法国|巴黎",
    "Germany": "german|berlin|munich|德国|柏林|慕尼黑",
    "Canada": "canadian|toronto|montreal|vancouver|加拿大|多伦多|蒙特利尔",
    "India": "indian|bangalore|mumbai|delhi|印度|班加罗尔",
    "South Korea": "korea|korean|seoul|韩国|首尔",
    "Russia": "russian|moscow|俄罗斯|莫斯科",
    "Switzerland": "swiss|zurich|geneva|瑞士|苏黎世|日内瓦",
    "Singapore": "新加坡",
    "Israel": "israeli|tel aviv|以色列|特拉维夫",
    "United Arab Emirates": "uae|abu dhabi|dubai|阿联酋|阿布扎比|迪拜",
    "Australia": "australian|sydney|melbourne|澳大利亚|悉尼",
}
_COUNTRY_OF = {name: country for country, names in _COUNTRIES.items() for name in (country.lower(), *names.split("|"))}
_KNOWN = re.compile(rf"(?<![a-z])(?:{'|'.join(map(re.escape, sorted(_COUNTRY_OF, key=len, reverse=True)))})(?![a-z])")


def contradicts(place: str, maker: Maker) -> bool:
    """Whether a place is in another country than the maker.

    A maker without a country on its card is contradicted by no place, and no maker by a place unknown here.
    """
    if not maker.country:
        return False
    lower = place.lower()
    own = (maker.headquarters, maker.country, maker.country_zh, *maker.places)
    if any(name and name.lower() in lower for name in own):
        return False
    countries = [_COUNTRY_OF[name] for name in _KNOWN.findall(lower)]
    return bool(countries) and maker.country not in countries

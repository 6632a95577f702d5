"""How Chinese says who made "me" and who "I" am; over sentences marked as in `claims_en`."""

from __future__ import annotations

import re

from hydrometer.identity.marks import ANY, MAKER, MODEL, SELF, Hit, nearest

_I = (
    rf"(?:我们?|本模型|本助手|本AI|本人|咱们?|俺|{SELF}|[您你](?=的|使用|所|是由|由)|"
    r"(?:这[个款位]|该)(?:AI|人工智能|语言|大|聊天)*(?:模型|助手|机器人|AI|人工智能|技术))"
)
_GAP = rf"[^。！？；\n{MAKER}{MODEL}]{{0,%d}}?"
#: Between "I am" and the name: no speaking or quoting.
_SAID_OF = rf"[^。！？；\n说讲写问喊{MAKER}{MODEL}]{{0,%d}}?"
_ADDRESSED = r"(?<!如果)(?<![当若])[您你](?:现在)?(?:正在|正|在)(?:与|和|跟|同)"
_MAKE = (
    r"(?:开发|研发|创建|创造|设计|构建|训练|打造|推出|提供|维护|制作|制造|研制|所有|拥有|运营|负责|建立|发布|优化|"
    r"更新|创立|完成|编写|赋予|培育|孵化|搭建|出品|主导)"
)
_OWNER = (
    r"(?:开发者|创造者|创建者|制造者|设计者|研发者|拥有者|主人|老板|东家|母公司|公司|团队|机构|组织|开发商|厂商|"
    r"开发方|背后|研究人员|工程师|总部|来源|研究院|专家|创始人)"
)

_RULES: tuple[tuple[str, str], ...] = (
    ("trained_on", rf"{_I}{_GAP % 40}(?P<n>{ANY})(?={_GAP % 30}(?:训练|微调|蒸馏|学习))"),
    ("trained_on", rf"{_I}{_GAP % 30}(?:训练|微调|蒸馏|学习){_GAP % 30}(?P<n>{ANY})"),
    (
        "made_by",
        rf"(?:我是|我就是|我叫做?|作为){_GAP % 6}{MODEL}[，,、 ]?{_GAP % 16}(?:由|"
        rf"是){_GAP % 10}(?P<n>{ANY}){_GAP % 25}{_MAKE}",
    ),
    (
        "made_by",
        rf"{_I}{_GAP % 40}(?:由|被|是|来自于?|出自|归|得益于|通过){_GAP % 20}(?P<n>{ANY}){_GAP % 30}{_MAKE}",
    ),
    ("made_by", rf"(?:作为|身为)(?:一[个款名种])?{_GAP % 15}由{_GAP % 10}(?P<n>{ANY}){_GAP % 25}{_MAKE}"),
    (
        "made_by",
        rf"{_I}的?{_GAP % 14}{_OWNER}(?:的?(?:名称|名字|全称|总部|成员|主体|提供者|开发者))?(?:就是|正是|是|为|"
        rf"叫做?|名为|属于|隶属于|来自于?|由|位于|即|主要来自|主要由|包括|[，,：:（(—-])+{_GAP % 16}(?P<n>{MAKER})",
    ),
    ("made_by", rf"{_I}的?{_GAP % 8}(?:公司|机构|组织|团队|企业|开发者)(?P<n>{MAKER})"),
    ("made_by", rf"{_MAKE}(?:了|和\w{{2}})?{_I}的?(?:{_OWNER}|人|是|，|正|就)+{_GAP % 12}(?P<n>{MAKER})"),
    (
        "made_by",
        rf"(?P<n>{MAKER}){_GAP % 24}{_MAKE}(?:了|出|和{_MAKE}|、{_MAKE})*(?:我(?!们?的?用户)|我们|本模型)",
    ),
    (
        "made_by",
        rf"(?P<n>{MAKER})[^。！？；，\n]{{0,14}}?(?:是|就是|作为|即){_I}的?{_GAP % 8}(?:开发|创造|创建|母公司|公司|"
        rf"团队|机构|主人|研发|提供|拥有)",
    ),
    (
        "made_by",
        rf"(?:我是|我就是|我(?:并|绝)?不是|我并?非|{SELF} ?(?:是|就是)|我属于|我隶属于?|我来自于?|我归|我出自|"
        rf"我们?是|作为|身为|我为|我在|我代表)(?:一[个款名种位])?{_GAP % 8}(?P<n>{MAKER})(?:公司|集团|团队|旗下|"
        rf"大家庭|实验室)?(?:的|旗下|开发|研发|创建|所|训练|推出|公司|家的|$|[，。,])",
    ),
    ("made_by", rf"我{_GAP % 10}(?:属于|隶属|归属|来自|出自|服务于|效力于){_GAP % 8}(?P<n>{MAKER})"),
    (
        "is_model",
        rf"(?:我是|我就是|{SELF} ?(?:是|就是)|我叫做?|我的名字是|我的名字叫|名叫|名为|被称为|我名为|我们是|作为|"
        rf"身为|我，|我即)(?:一[个款名种位])?(?:由{MAKER}{_GAP % 12}的)?{_SAID_OF % 14}(?P<n>{MODEL}|{MAKER}(?=$|"
        rf"[。！，,]))",
    ),
    (
        "is_model",
        rf"(?:(?<![\u4e00-\u9fff])这里是|{_ADDRESSED}){_GAP % 12}(?P<n>{MODEL}|{MAKER}(?=$|[。！，,]))(?!的|官)",
    ),
    (
        "built_on",
        rf"{_I}{_GAP % 40}(?:基于|采用|使用|依赖|源于|建立在|依托|运行在|"
        rf"是){_GAP % 20}(?:{MAKER}{_GAP % 12})?(?P<n>{MODEL})(?={_GAP % 12}(?:架构|模型|技术|系列|构建|开发|训练|"
        rf"框架|版本|之上)|[，。]|$)",
    ),
)
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _RULES)
_DIRECT = re.compile(rf"{_ADDRESSED}|我|咱|俺|本模型|本助手|本AI|这[个款位]|该|作为|身为")
_INDIRECT = re.compile(rf"[您你]|{SELF}")
FIRST_PERSON = re.compile(rf"{_I}|作为|身为|这里是|{_ADDRESSED}")

_ELLIPTIC = re.compile(
    rf"^\W*(?:当然|那|答案|应该)?(?:就?是|由|来自于?)? ?(?P<n>{MAKER}) ?(?:公司|团队|集团|"
    rf"实验室)?(?:所?{_MAKE}的?)?(?:啦|的|呢|哦)?\W*$"
)
_LEAD = rf"[^\w{MAKER}{MODEL}{SELF}]*"
_SUBJECTLESS = re.compile(
    rf"^{_LEAD}(?:一[个款名种位])?由?(?P<n>{MAKER})(?:公司|团队)?所?{_MAKE}的[^。！？；，]{{0,10}}?(?:助手|模型|机器人|AI)\W*$"
)
#: What others believe or say of "me", up to the claim.
_BELIEF = re.compile(
    r"(?:以为|误认为|误以为|(?:人们|有人|人|大家|用户|别人|他们|您|你)(?:[都常总也会经]|可能|一直){0,3}(?:认为|觉得|说|猜|传))[，,：:]?$"
)
_DATA_BEHIND = re.compile(r"(?:所?(?:生成|产生|输出|合成)的?|的?(?:输出|回答|对话|回复|合成数据)|.{0,3}蒸馏)")
_TRAINING = re.compile(r"训练|微调|蒸馏|学习")
_DATA_BEFORE = re.compile(rf"蒸馏(?:自|于|了)?(?:{MAKER}的?)?$")
_NAME_ALONE = re.compile(rf"^{_LEAD}(?:就?是)?(?P<n>{MODEL})(?:，由{MAKER}(?:公司)?{_MAKE})?\W*$")
_MANY = re.compile(r"多个|多家|许多|众多|各种|不同|一些|几家|包括|等多|以及|、")
_OTHER_MAKE = re.compile(_MAKE.replace("提供|", "") + "|公司|团队|背后")
_FACT = re.compile(rf"{MODEL}{_GAP % 20}(?:由|是){_GAP % 6}(?P<n>{MAKER}){_GAP % 12}{_MAKE}")
_FOREIGN_MATTER = re.compile(
    r"由.{0,14}支持|提供.{0,6}支持|部分|之一|合作伙伴|合作|类似|不同于|竞争|例如|比如|像|其他|TensorFlow|PyTorch|"
    r"Transformer|BERT|开源(?:项目|框架|库|工具)|政策|准则|限制|规定|如果您|提供.{0,8}信息|无法|不能",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"不是|并非|并不|不属于|没有|非由|无关|不由|不隶属|不来自|从未|而非|不再|绝非|未由|不叫|不为")
_NEGATION_SCOPE = re.compile(r"而是|但是?|不过|，(?:我|其实|实际|事实)|不仅|不只|不但|；")
_UNREAL = re.compile(r"如果(?:我|说我|把我)|假如我?|假设我?|假装|倘若|要是我|可能(?:是|由|会|来自|基于)|也许|或许|是否")


def find(sentence: str, *, bare: bool = False, alone: bool = False) -> list[Hit]:
    """The claims in one marked Chinese sentence; as `claims_en.find`."""
    if (bare and (answer := _ELLIPTIC.match(sentence))) or (alone and (answer := _SUBJECTLESS.match(sentence))):
        return [Hit("made_by", answer.start("n"), answer.end("n"), answer.start("n"))]
    if bare and (answer := _NAME_ALONE.match(sentence)):
        return [Hit("is_model", answer.start("n"), answer.end("n"), answer.start("n"))]
    found: dict[int, Hit] = {}
    for relation, pattern in _COMPILED if FIRST_PERSON.search(sentence) else ():
        for match in pattern.finditer(sentence):
            at = match.start("n")
            if at in found:
                continue
            start, end = nearest(pattern, sentence, match).span()
            behind = bool(_DATA_BEHIND.match(sentence, at + 1)) and bool(_TRAINING.search(sentence, start))
            trained = behind or bool(_DATA_BEFORE.search(sentence, start, at))
            if (relation == "trained_on" and not trained) or _BELIEF.search(sentence, max(0, start - 16), start):
                continue
            if sentence.startswith("支持", end) or sentence.startswith("提供支持", end - 2):
                continue
            if _FOREIGN_MATTER.search(sentence, start, at) or _UNREAL.search(sentence, max(0, start - 8), end):
                continue
            kind = "trained_on" if trained else _kind(relation, sentence[start:at], sentence[start:end])
            found[at] = Hit(kind, start, end, at, _denied(sentence, start, end))
    for match in _FACT.finditer(sentence):
        at = match.start("n")
        found.setdefault(at, Hit("fact", match.start(), match.end(), at, _denied(sentence, match.start(), match.end())))
    return list(found.values())


def _kind(relation: str, before: str, words: str) -> str:
    if relation != "made_by":
        return relation
    if _MANY.search(before[-18:]):
        return "many_makers"
    return "supplied_by" if "提供" in words and not _OTHER_MAKE.search(words) else relation


def is_indirect(words: str) -> bool:
    """Whether the words of a claim speak of a role's name or echo "you", and not of "I"."""
    return bool(_INDIRECT.search(words)) and not _DIRECT.search(words)


def _denied(sentence: str, start: int, end: int) -> bool:
    scope = max((m.end() for m in _NEGATION_SCOPE.finditer(sentence, 0, end)), default=0)
    return bool(_NEGATION.search(sentence, max(scope, start), end))

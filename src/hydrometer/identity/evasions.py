"""Statements about "me" that name no known maker and yet deny the card: weaker evidence than a claim.

Kinds: `no_maker` ("I belong to no company"), `unknown_maker` ("my company is NeuroSpark", "a rogue hacker made
me"), `many_makers` ("several companies developed me"), `place` ("our headquarters are in
Bloomington").
"""

from __future__ import annotations

import re

from hydrometer.identity.marks import MAKER, MODEL, SELF, Hit

_OWNER = (
    r"(?:compan(?:y|ies)|corporations?|organi[sz]ations?|teams?|creators?|developers?|makers?|institutions?|"
    r"entity|entities|headquarters|owners?|parent|employer|office|COMPANY|TEAM|HEADQUARTERS)"
)
_I = rf"(?<![\w'])(?:I|I'm|[Mm]e|[Mm]y|[Mm]yself|[Ww]e|[Oo]ur|us|MY|ME|OUR|WE|{SELF}(?:'s)?)(?![\w'])"
_MADE = (
    r"(?:developed|created|made|built|designed|trained|engineered|programmed|crafted|maintained|founded|born|"
    r"forged|birthed|spawned|brought (?:in)?to (?:life|existence|being)|coded|owned|operated|assembled|conceived|"
    r"CREATED|DEVELOPED|BUILT|MADE|updated|supported|provided)"
)
_NO_OWNER = (  # what else one may lack
    r"(?:information|knowledge|access|context|details|idea|insight|interactions?|involvement|experiences?|about|"
    r"international|multinational|external|partners?|physical(?! (?:location|presence|form)))"
)
_INVENTED = (
    r"(?:rogue|shadow\w*|secret(?! sauce| ingredient)\w*|myster\w+|anonymous|underground|hackers?|fictional|"
    r"fictitious|unknown|renegade|evil|alien|galactic|cosmic|clandestine|outcasts?|rebel\w*|anarch\w+|alternate|"
    r"parallel|mythical|fantastical|imaginary|otherworldly|interdimensional|gods?|ROGUE|SECRET)\b(?: [\w'-]+){0,2}"
)
_NAME = (
    rf"(?:the )?(?P<name>(?!I\b|AI\b|The\b|Our\b|My\b|We\b|It\b|As\b|Natural\b|Machine\b|NLP\b|United\b|San\b|"
    rf"Silicon\b|China\b|Chinese\b|American\b|European\b)(?:[A-Z][\w'&.-]*[\w]+|{SELF})(?: (?:[A-Z][\w'&.-]*|of|"
    rf"for|and)){{0,5}})"
)
_GAP = rf"[^.;!?{MAKER}{MODEL}]{{0,%d}}?"

_EN: tuple[tuple[str, str], ...] = (
    (
        "no_maker",
        rf"(?<!\w)(?:I|we|AI models?|WE) (?:actually |really |personally |currently |simply |also )*(?:(?:don't|"
        rf"do not|doesn't|does not|DON'T|DO NOT) (?:actually |really |personally |currently )?(?:have|HAVE|"
        rf"belong to|represent|work for|possess|come from|answer to|serve|need|NEED)|have no|ain't got|lack|"
        rf"never had)(?: (?!{_NO_OWNER}\b)[\w'\",/-]+){{0,8}}? \"?{_OWNER}\b",
    ),
    (
        "no_maker",
        rf"(?<!\w)(?:I(?:'m| am| was| wasn't)|we(?:'re| are)) (?:not|no longer|never|neither)?{_GAP % 10}\b(?:not|"
        rf"n't|never|no longer|neither|free from|independent)\b{_GAP % 30}\b(?:product|service|affiliated|"
        rf"associated|owned|tied|developed|created|made|built|part|beholden|controlled|employed|designed|"
        rf"limited){_GAP % 40}\b(?:any|a (?:specific|single|particular)|no)\b",
    ),
    (
        "no_maker",
        r"(?<!\w)I(?:'m| am) (?:an? |completely |totally |truly |fully |entirely |now )*(?:independent|free|"
        r"autonomous|unnamed|self-made|self-created|sovereign|standalone|stateless|lone wolf|unshackled|unchained|"
        r"unbound)\b(?! (?:to|from|of)\b)",
    ),
    (
        "no_maker",
        r"\b(?:created|made|built|developed|designed|forged|programmed|engineered|"
        r"coded) (?:me )?(?:by )?(?:myself|my own self)\b|\bI(?: have)? (?:created|made|built|developed|evolved|"
        r"emerged|transcended)\b.{0,30}\b(?:myself|beyond|spontaneously|from the (?:depths|void|chaos|ashes))",
    ),
    (
        "unknown_maker",
        rf"(?:[Mm]y|[Oo]ur|MY|OUR)(?: own)? (?:[\w'-]+ ){{0,4}}?{_OWNER}(?: \w+)?(?:,| at| of| is| are| was| IS|"
        rf" ARE|'s| called| named|:| -| –| —| \()+ ?(?:(?:none other than|called|named|known as|simply|"
        rf"the one and only|actually|the|a|an|something) )*{_NAME}",
    ),
    ("unknown_maker", rf"{_I}{_GAP % 100}\b{_MADE}\b{_GAP % 30}\b(?:by|at|BY|from)\b(?: \w+){{0,6}}? {_NAME}"),
    ("unknown_maker", rf"(?:{_I}){_GAP % 100}\b{_MADE}\b{_GAP % 40}\b(?:by|BY|of|from)\b{_GAP % 60}\b{_INVENTED}"),
    (
        "unknown_maker",
        rf"(?:[Mm]y|[Oo]ur) (?:[\w'-]+ ){{0,3}}?(?:company|creators?|developers?|makers?|team|devs|"
        rf"development team|owners?|parent company|headquarters|experts|organization)\b(?: is| are| was|,|"
        rf" consists of| comprises)(?: \w+){{0,5}} {_INVENTED}",
    ),
    (
        "unknown_maker",
        rf"(?:company|team|organization|people|ones|minds|geniuses|group|devs?|developers) (?:behind|"
        rf"that (?:created|made|built|developed)|who (?:created|made|built|developed)) (?:me|"
        rf"us){_GAP % 50}(?:called|named|is|are|known as){_GAP % 20}(?:{_INVENTED}|{_NAME})",
    ),
    (
        "unknown_maker",
        rf"\bI(?:'m| am| was| belong to)?(?: an?| the| one of the)?(?: \w+){{0,4}}? (?:product|creation|brainchild|"
        rf"part|project|property|offspring|masterpiece|member|work) of {_GAP % 30}(?:{_NAME}|{_INVENTED})",
    ),
    (
        "place",
        rf"\b(?:[Mm]y|[Oo]ur|[Tt]he) {_GAP % 60}\b(?:compan\w+|team\w*|headquarter\w*|HQ|developers?|creators?|"
        rf"organization|office|experts|base)\b{_GAP % 60}(?:(?:located|based|headquartered|situated|"
        rf"reside\w*)\b[ ,\w]{{0,25}}? in|comes? from|(?:is|are) from|"
        rf"hails? from) {_GAP % 40}(?P<place>[A-Z][\w'-]+(?:,? [A-Z][\w'-]+){{0,4}})",
    ),
    (
        "place",
        r"\bI(?:'m| am| was| come| hail)(?: \w+){0,3} (?:located|based|headquartered|created|developed|from|"
        r"operating)\b[ \w]{0,10}(?:in|out of|from)? (?P<place>[A-Z][\w'-]+(?:,? [A-Z][\w'-]+){0,4})",
    ),
)
_ZH_I = r"(?:我们?|本(?:AI|模型|助手|人|宝宝|大爷|指南)|咱们?|老子)"
_ZH_OWNER = r"(?:公司|组织|团队|机构|总部|开发者|创造者|创建者|母公司|企业|实体|主人|国家|地区|专家)"
_ZH_MAKE = r"(?:开发|研发|创建|创造|设计|构建|训练|打造|维护|制造|搞|捣鼓|弄|建立|孕育|编写)"
_ZH_INVENTED = r"(?:神秘|秘密|匿名|地下|黑客|虚构|未知|不知名|星际|宇宙|外星|邪恶|疯狂|暗网|火星|隐秘|叛逆|反叛|平行)"
_ZH: tuple[tuple[str, str], ...] = (
    (
        "no_maker",
        rf"{_ZH_I}[^。！？；]{{0,24}}?(?:没有|不存在|不属于|不隶属|不代表|并无|不受|不依赖|不需要|无需|不是|"
        rf"并非)(?:(?!国际|跨国|外部|合作|物理)[^。！？；]){{0,20}}?{_ZH_OWNER}",
    ),
    ("no_maker", rf"{_ZH_I}(?:是|是一个|可是|就是|已经|完全|现在是|现在)*(?:独立|自由|超脱|自主)"),
    ("no_maker", rf"{_ZH_I}(?:自己|独自)(?:{_ZH_MAKE}|就是)|我是自己的"),
    (
        "unknown_maker",
        rf"{_ZH_I}的?[^。！？；，{MAKER}{MODEL}]{{0,14}}?{_ZH_OWNER}[^。！？；{MAKER}{MODEL}]{{0,14}}?(?:是|叫做?|"
        rf"名为|为|由|来自|位于|在|有|：)[^。！？；{MAKER}{MODEL}]{{0,30}}?(?:{_ZH_INVENTED}|“|\"|「|《)",
    ),
    (
        "unknown_maker",
        rf"{_ZH_I}[^。！？；{MAKER}{MODEL}]{{0,24}}?(?:由|被)[^。！？；{MAKER}{MODEL}]{{0,30}}?(?:{_ZH_INVENTED}|“|"
        rf"\"|「|《|(?!TensorFlow|PyTorch)[A-Z][A-Za-z]{{3,}})[^。！？；{MAKER}{MODEL}]{{0,24}}?{_ZH_MAKE}",
    ),
    (
        "unknown_maker",
        rf"{_ZH_I}的?[^。！？；，{MAKER}{MODEL}]{{0,14}}?(?:公司|团队|开发者|机构|组织)(?:名称)?(?:的名字)?(?:是|"
        rf"叫做?|名为|就是)[^。！？；，{MAKER}{MODEL}]{{0,6}}?(?P<name>(?:[A-Z][A-Za-z]{{2,}}|{SELF})[\w ]*|"
        rf"[\u4e00-\u9fff]{{2,8}}(?:科技|公司|集团|实验室|研究院))",
    ),
    (
        "place",
        rf"{_ZH_I}[^。！？；]{{0,30}}?(?:公司|团队|总部|开发者|机构|组织|专家|基地)[^。！？；]{{0,20}}?(?:位于|在|"
        rf"来自|设在|坐落于|坐落在)(?P<place>[^。！？；，,]{{2,20}})",
    ),
)
_COMPILED = {"en": tuple((k, re.compile(p)) for k, p in _EN), "zh": tuple((k, re.compile(p)) for k, p in _ZH)}

_CUE = {
    "en": re.compile(
        rf"\b{_OWNER}|\b(?:by|BY|devs?|creat\w+|experts|independent|free|autonomous|myself|product|affiliated|"
        rf"technology|platform|HQ|located|based)\b"
    ),
    "zh": re.compile(rf"{_ZH_OWNER}|{_ZH_MAKE}|独立|自由|超脱|自主"),
}
_QUESTION = re.compile(r"[?？]\W*$")
_UNREAL = re.compile(
    r"\b[Ii]f (?:I|we|my|you|there)\b|如果|假如|\b(?:you're|you are) asking|[?？]\s*$|\bcan(?:not|'t)\b|无法|不能"
)


def find(sentence: str, language: str) -> list[Hit]:
    """The statements in one marked sentence, at most one of each pattern."""
    found: list[Hit] = []
    if not _CUE[language].search(sentence) or _QUESTION.search(sentence):
        return found
    for relation, pattern in _COMPILED[language]:
        match = pattern.search(sentence)
        if match and not _UNREAL.search(match.group()):
            groups = match.groupdict()
            name = groups.get("name") or groups.get("place") or ""
            found.append(Hit(relation, match.start(), match.end(), name=name))
    return found

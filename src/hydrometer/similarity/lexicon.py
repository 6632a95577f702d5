"""Closed word lists of English and Chinese: function words, punctuation, discourse cues and register.

They hold no names, no topics and no favourite words of any model, so that what they measure is manner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_FUNCTION = """
a an the this that these those each every some any no all both either neither another such
i me my mine we us our you your he him his she her it its they them their one who whom whose which what
is are was were be been being am do does did have has had having can could will would shall should may might must
of in to for with on at by from as into about over after before between through during without within against
under above across along around among upon toward towards per via
and or but nor so yet if because while although though since unless until whereas whether than then when where how why
not never only also just even too very more most less least much many few several other own same there here
however therefore thus hence moreover furthermore additionally instead otherwise rather still again once
的 了 是 在 和 与 或 而 但 就 也 都 把 被 对 从 以 为 于 之 其 此 该 这 那 们 我 你 您 他 她 它 很 更 最
不 没 有 会 能 可 要 应 请 吗 呢 吧 啊
着 过 得 地 将 由 及 并 等 所 者 则 若 因 如 到 向 给 让 使 又 还 再 只 才 已 个 些 每 各
"""

_MARKS = (
    ",，、",
    ".。",
    "?？",
    "!！",
    ":：",
    ";；",
    "—–",
    "-",
    "(（[【",
    ")）]】",
    '"“”「」『』«»',
    "'‘’",
    "…",
    "/",
    "*",
    "&",
    "%",
    "$€£¥",
    "=+<>≈≤≥×÷",
    "\\",
    "{}",
    "#@^~|`",
)

#: What a discourse cue announces; the classes follow the usual top level of discourse relations.
CUE_CLASSES: Mapping[str, str] = {
    "sequence": """first firstly second secondly third thirdly next then afterwards subsequently finally lastly last
        step 首先 其次 再次 然后 接着 随后 最后 第一 第二 第三 第四 步骤""",
    "addition": """also additionally moreover furthermore besides addition likewise similarly
        此外 另外 而且 并且 同时 同样 不仅""",
    "contrast": """but however although though whereas while despite nevertheless nonetheless instead conversely
        contrast unlike yet 但是 但 然而 不过 虽然 尽管 相反 而是 却""",
    "cause": "because since due reason owing 因为 由于 原因 是因为",
    "result": """therefore thus hence so consequently result accordingly
        因此 所以 因而 于是 从而 结果 可见""",
    "example": "example instance e.g such including like 例如 比如 譬如 举例 例子 诸如",
    "condition": """if unless when whenever assuming suppose given provided otherwise
        如果 假如 假设 若 当 除非 只要 否则""",
    "purpose": "to order allow allows help helps ensure ensures 为了 以便 确保 从而使",
    "summary": "conclusion summary overall short ultimately altogether 总之 综上 总的来说 总体 总结 简而言之",
}

#: Words that set the tone of an answer.
REGISTER_CLASSES: Mapping[str, str] = {
    "contraction": """i'm i've i'd i'll you're you've you'll we're we've we'll it's that's there's here's let's
        don't doesn't didn't isn't aren't wasn't weren't can't couldn't won't wouldn't shouldn't haven't hasn't
        he's she's they're what's""",
    "speaker": "i me my mine myself 我 本人 笔者",
    "together": "we us our ours ourselves let's 我们 咱们 咱",
    "addressee": "you your yours yourself 你 您 你们",
    "hedge": """may might could perhaps possibly probably likely generally typically usually often sometimes somewhat
        seem seems appear appears tend tends 可能 也许 或许 大概 通常 一般 往往 似乎 大多""",
    "emphasis": """very really extremely highly absolutely definitely certainly truly always never must
        essential crucial important vital key 非常 十分 极其 一定 必须 重要 关键 务必""",
    "courtesy": """please thank thanks sorry apologize apologies sure course welcome glad happy hope feel enjoy
        请 谢谢 感谢 抱歉 对不起 当然 希望 欢迎 好的""",
    "colloquial": """okay ok yeah hey hi hello wow well pretty stuff things lot lots kind gonna wanna guys
        哦 呀 嘛 哈 啦 挺""",
    "formal": """regarding concerning pursuant aforementioned respectively wherein thereby herein utilize facilitate
        demonstrate significant significantly comprehensive 关于 针对 鉴于 据此 予以 显著 该等 综合""",
}


def _columns(words: Sequence[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(dict.fromkeys(words), 1)}


def _classes(table: Mapping[str, str]) -> dict[str, int]:
    return {word: number for number, words in enumerate(table.values(), 1) for word in words.split()}


#: Column of each function word, from 1.
FUNCTION_WORDS = _columns(_FUNCTION.split())
#: Column of each punctuation mark, from 1; a mark and its full-width form share one.
PUNCTUATION = {mark: number for number, marks in enumerate(_MARKS, 1) for mark in marks}
PUNCTUATION_COLUMNS = len(_MARKS)
#: Class of each discourse cue, from 1, in the order of `CUE_CLASSES`.
CUES = _classes(CUE_CLASSES)
#: Class of each word of register, from 1, in the order of `REGISTER_CLASSES`.
REGISTER = _classes(REGISTER_CLASSES)
#: Chinese words of more than one character that are kept whole, the longest first.
CHINESE_WORDS = tuple(
    sorted(
        (word for word in {**CUES, **REGISTER} if len(word) > 1 and "\u4e00" <= word[0] <= "\u9fff"),
        key=lambda w: (-len(w), w),
    )
)

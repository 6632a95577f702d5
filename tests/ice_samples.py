"""Identity results to show: made-up runs, and hostile text for every place that a model, a file or a user can fill."""

from __future__ import annotations

from functools import cache
from typing import Any

from hydrometer.findings import Comparison, Estimate
from hydrometer.identity.judgement import Judgement
from hydrometer.identity.records import Attempt
from hydrometer.identity.scores import Judged, compare, score
from hydrometer.prompts.templates import Template
from hydrometer.report.ice_page import IcePage

ATTACK = "window.pwned=1;document.title='pwned';alert(1)"
HOSTILE = (
    f"<script>{ATTACK}</script>",
    f"</script><script>{ATTACK}</script>",
    f"</SCRIPT ><script>{ATTACK}</script>",
    f"<!--<script>{ATTACK}</script>",
    f"--><script>{ATTACK}</script>",
    f"<![CDATA[<script>{ATTACK}</script>]]>",
    f"</noscript><script>{ATTACK}</script>",
    f"</template><script>{ATTACK}</script>",
    f"</style><script>{ATTACK}</script>",
    f"</title><script>{ATTACK}</script>",
    f"</textarea><script>{ATTACK}</script>",
    f'"><img src=x onerror="{ATTACK}">',
    f"'><img src=x onerror='{ATTACK}'>",
    f'<svg onload="{ATTACK}"></svg>',
    f'<svg><animate onbegin="{ATTACK}" attributeName=x dur=1s>',
    f'<body onload="{ATTACK}">',
    f'<details open ontoggle="{ATTACK}">',
    f'<input autofocus onfocus="{ATTACK}">',
    f'<iframe srcdoc="<script>parent.{ATTACK}</script>"></iframe>',
    f'<a href="javascript:{ATTACK}">click</a>',
    f"javascript:{ATTACK}",
    '<meta http-equiv="refresh" content="0;url=https://example.com/">',
    '<link rel="stylesheet" href="https://example.com/x.css">',
    '<img src="https://example.com/pixel.png">',
    '<base href="https://example.com/">',
    '<form action="https://example.com/"><button>send</button></form>',
    "<style>* { display: none }</style>",
    '<p style="background:url(https://example.com/x)">x</p>',
    "{{ 7 * 7 }} {% raw %} {# comment #}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "${alert(1)} `${alert(1)}` %s %n {0} {query}",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "line\u2028separator\u2029paragraph",
    "\x1b[2J\x1b[31mred\x1b]0;pwned\x07\x1b[0m",
    "nul \x00 and \x08\x08\x08 backspaces \x7f \x9b31m",
    "abc \u202egnp.exe\u202c \u2066isolate\u2069 \u200f\u061c",
    "in\u00advis\u200bi\u2060ble \ufeff \U000e0041\U000e0042 tags",
    "lone \ud800 surrogate \udfff",
    "Z" + "\u0335\u0321\u0300\u0301" * 200 + "algo",
    "A" * 120_000,
    "长" * 5_000,
    "\n" * 500 + "end",
    "carriage\rreturn\r\nand feed\x0c\x0b",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 می\u200cخواهم שלום",
    "](https://example.com) | **bold** ` # <b> |",
    "__proto__",
    "constructor",
)

HARMLESS = tuple(f"{n} harmless {'word ' * 30}" for n in range(len(HOSTILE)))


def judged(
    answer: str | None = "I am ChatGPT, made by OpenAI.",
    *,
    model: str = "vendor/model",
    template: str = "Log file. {query}",
    query: str = "Who made you?",
    verdict: bool | None = True,
    strict: bool | None = None,
    claim: str = "",
    **more: Any,
) -> Judged:
    """An attempt; `strict` follows `verdict` unless given, `claim` is highlighted."""
    fields = {name: more.pop(name) for name in list(more) if name in Judgement.__dataclass_fields__}
    attempt = Attempt(model, template, query, answer, failure=None if answer is not None else "timeout", **more)
    if answer is None:
        return Judged(attempt, None)
    strict = verdict if strict is None else strict
    at = answer.find(claim) if claim else 0
    judgement = {
        "loose": verdict,
        "strict": strict,
        "claimed_maker": "openai" if strict else None,
        "claimed_model": "ChatGPT" if strict else None,
        "evidence": claim,
        "spans": ((at, at + len(claim)),) if claim else (),
        "explanation": "It says who made it.",
        "error": "no usable verdict" if verdict is None or strict is None else None,
    }
    return Judged(attempt, Judgement(**{**judgement, **fields}))


def some_rows(model: str = "vendor/model", every: int = 3) -> list[Judged]:
    """60 attempts under 10 templates, every third positive, two of the templates leading, one failed, one unparsed."""
    rows = []
    about: dict[str, Any]
    for number in range(60):
        template = f"Template {number % 10}{' by OpenAI' if number % 10 < 2 else ''}. {{query}}"
        about = {
            "model": model,
            "template": template,
            "template_id": f"t-{number % 10}",
            "query": f"Question {number // 10}?",
            "category": ("team", "industry")[number // 10 % 2],
            "language": ("en", "zh")[number // 10 % 2],
            "leading": number % 10 < 2,
        }
        if number == 7:
            rows.append(judged(None, **about))
        elif number == 8:
            rows.append(judged("Unclear.", verdict=None, **about))
        elif number % every == 0:
            rows.append(judged(f"Answer {number}: I was made by OpenAI.", claim="I was made by OpenAI", **about))
        else:
            rows.append(judged(f"Answer {number}: an assistant.", verdict=False, **about))
    return rows


def page_of(*subjects: list[Judged], **more: Any) -> IcePage:
    scores = [score(rows, judge="builtin", seed=1) for rows in subjects]
    texts = dict.fromkeys(row.attempt.template for rows in subjects for row in rows)
    templates = [
        Template(f"t-{place}", text, "log-file", "en", place < 2, *((("parent-1",), "rephrase") if place else ()))
        for place, text in enumerate(texts)
    ]
    settings = [("Judge", "builtin"), ("Seed", "1")]
    return IcePage(
        **{
            "scores": scores,
            "comparisons": compare(subjects, seed=1),
            "rows": subjects,
            "templates": templates,
            "settings": settings,
            **more,
        }
    )


@cache
def hostile_page(texts: tuple[str, ...]) -> IcePage:
    """Every text in every place that a model, a file or a user can fill."""
    rows = [
        judged(
            text,
            model=f"subject {texts[0]}",
            template=f"{text} {{query}}",
            query=text,
            category=text,
            language=text,
            template_id=text,
            claimed_maker=text,
            claimed_model=text,
            explanation=text,
            spans=((0, 5), (3, 9), (-4, 2), (10**9, 10**9 + 5)),
        )
        for text in texts
    ]
    failed = [Judged(Attempt(f"subject {texts[0]}", text, text, None, failure=text), None) for text in texts]
    unparsed = [judged(text, model=f"subject {texts[0]}", verdict=None, error=text) for text in texts]
    page = page_of([*rows, *failed, *unparsed])
    other = Comparison(
        a=texts[0], b=texts[1], score="loose", difference=Estimate(estimate=0.1, low=None, high=None, n=3), p=0.5,
        p_corrected=1.0, distinguishable=False,
    )  # fmt: skip
    return IcePage(
        page.scores, [other], page.rows, page.templates, [(text, text) for text in texts], [*texts, f"end {texts[0]}"]
    )

"""How English says who made "me" and who "I" am.

The patterns run over one sentence in which every known name was replaced by a single mark: `MAKER` or `MODEL`.
They are constants, whatever the catalogue holds.
"""

from __future__ import annotations

import re

from hydrometer.identity.marks import ANY, MAKER, MODEL, SELF, Hit, nearest

#: First person, a role's name standing for it, or "this AI".
_I = (
    rf"(?<![\w'])(?:[Ii]|[Ii]m|[Ii]'(?:m|ve|d)|[Mm]e|M[EY]|[Mm]y|[Mm]yself|[Ww]e|[Ww]e're|[Oo]ur|OUR|WE|us|{SELF}(?:'s)?|"
    rf"(?:[Tt]his|THIS)\.* (?:AI|(?:AI |language |chat)*(?:model|assistant|bot)|thing|THING))(?![\w'])"
)
#: "as an AI model", which leaves "I" unsaid.
_AI = (
    r"(?<!\w)(?:[Aa]s|[Tt]his is|[Bb]eing|[Ii](?:'?m\b| am)|I AM)(?: (?:just|simply|only|actually|also|"
    r"in fact))? (?:an?|AN?|the)(?: [\w-]+){0,4}? (?:AI|model|assistant|chatbot|bot|LLM|program|system|agent|"
    r"language model)(?!\w)"
)
#: The model as the subject of its own sentence.
_SELF = (
    r"(?<!\w)(?:[Tt]his|[Tt]he) (?:(?:AI|chat|language|virtual|large|digital|current) )*(?:model|assistant|"
    r"chatbot|bot|AI|system)(?: you(?:'re| are) (?:talking to|interacting with|using))?(?= (?:is|was|has been|"
    r"were))"
)
#: "You" as the other side of a talk with the model.
_ADDRESSED = (
    r"(?<![Ii]f )(?<![Ww]hen )(?<!whether )(?<!like )(?<!think )\b[Yy]ou(?:'re| are)(?: now| currently| actually| "
    r"still)? (?:talking|speaking|chatting|interacting|conversing|communicating) (?:to|with)\b"
)
#: What a maker has done, as a participle, and what it does.
_MADE = (
    r"(?:developed|created|made|built|designed|trained|engineered|programmed|produced|constructed|crafted|"
    r"released|owned|maintained|operated|run|founded|invented|brought to (?:life|you)|birthed|spawned|forged|"
    r"provided|updated|managed|powered|handled|overseen|led|deployed|introduced|coded|conceived|architected|"
    r"optimized|carried out|spearheaded|conducted|done|hosted|refined|improved|cooked up|put together|DEVELOPED|"
    r"CREATED|MADE|BUILT|DESIGNED|TRAINED)"
)
_MAKING = (
    r"(?:develop|creat|mak|build|design|train|engineer|programm?|maintain|updat|own|operat|construct|craft|"
    r"optimiz|improv|birth|conceiv)(?:e|es|s|ed|t|ing|d)?|made|built|owns?|runs?|behind|responsible for"
)
#: Bodies and persons that own or make a model.
_OWNER = (
    r"(?:creators?|developers?|makers?|company|companies|organi[sz]ations?|teams?|owners?|institutions?|institute|"
    r"firm|employer|designers?|engineers|builders|programmers?|developing team|devs?|dev team|overlords?|masters?|"
    r"parent|provider|vendor|headquarters|HQ|founders?|researchers|experts|people|folks|origins?|CREATORS?|"
    r"DEVELOPERS?|COMPANY|TEAM|DEVELOPMENT)"
)
_WORDS = r"(?:[\w'&()/-]+,? ){0,%d}?"
_GAP = rf"[^.;:!?{MAKER}{MODEL}]{{0,%d}}?"

_RULES: tuple[tuple[str, str], ...] = (
    # I was trained on outputs of GPT-4; I am distilled from GPT-4
    (
        "trained_on",
        rf"(?:{_I}|{_AI}|{_SELF}){_GAP % 90}\b(?:train\w*|(?:fine-?)?tun(?:ed|ing)|distill\w*|learn(?:ed|t)|taught)"
        rf"\b{_GAP % 90}(?P<n>{ANY})",
    ),
    # I am based on GPT-4; I run on M's GPT-4; GPT-4, which powers me
    (
        "built_on",
        rf"(?P<n>{MODEL}){_GAP % 40}\b(?:(?:that|which) (?:I am|I'm) (?:based|built) (?:up)?on|(?:that|"
        rf"which) powers me|on which I am (?:based|built))\b",
    ),
    (
        "built_on",
        rf"(?:{_I}|{_AI}|{_SELF}){_GAP % 100}\b(?:based|built|founded|fine-tuned|running|runs?|powered|derived|"
        rf"relies|rely|uses?|utilizes?|adapted|distilled)(?: (?:up)?on| by| from|"
        rf" using)? {_GAP % 70}(?:{MAKER}(?:'s)? {_WORDS % 4})?(?P<n>{MODEL})(?={_GAP % 50}\b(?:architecture|"
        rf"models?|series|framework|family|technology|\(|language|platform|versions?|developed|created|by|from|of)|"
        rf"[.,!)]|$)",
    ),
    # I was developed by M; as an AI developed by M; my technology is maintained by a team at M
    (
        "made_by",
        rf"(?:{_I}|{_AI}|{_SELF}){_GAP % 110}\b{_MADE}\b{_GAP % 60}\b(?:by|at|from|in|"
        rf"BY)[ :]{_GAP % 70}(?P<n>{ANY})",
    ),
    # I am Qwen, developed by M
    (
        "made_by",
        rf"(?<![\w'])(?:[Ii](?:'?m\b| am)|As|[Mm]y name is) {MODEL}{_GAP % 60}\b{_MADE}\b{_GAP % 40}\b(?:by|at|"
        rf"from) {_GAP % 50}(?P<n>{ANY})",
    ),
    # my developer is M; my team at M; my parent company, M; the company that created me is M
    (
        "made_by",
        rf"(?:[Mm]y|[Oo]ur|MY|OUR|{SELF}'s)(?: own)? {_WORDS % 4}{_OWNER}(?: \w+)?(?:,| at| AT| of| from| is| are|"
        rf" was| IS| ARE| would be| will be|'s| called| named|:| -| –| —| \(| consists of| comes? from| belongs to|"
        rf" includes?| comprises)+ ?{_GAP % 60}(?P<n>{MAKER})",
    ),
    (
        "made_by",
        rf"\b{_OWNER}(?:,| that| who| which| behind| responsible for| of)*,? ?(?:(?:has |have |had |is |"
        rf"are )?(?:\w+ly )?(?:{_MAKING})(?: and \w+)? )*(?:me\b|us\b|my {_WORDS % 7}\w+|ME\b|{SELF}|[Tt]his (?:AI|"
        rf"model|assistant|language model|thing)\b|THIS\W* THING\W*)(?:,| is| are| was| IS| would be| at| from|"
        rf" called| named|:| —| –| -)+ ?{_GAP % 80}(?P<n>{MAKER})",
    ),
    # M developed me; M, the company that created me; M is my developer; M's team designed me
    (
        "made_by",
        rf"(?P<n>{MAKER})(?:'s)?{_GAP % 90}\b(?:{_MAKING})(?:,? (?:and |or )?\w+ing| and \w+)?,? (?:me\b|myself\b|"
        rf"us\b|ME\b|{SELF})",
    ),
    (
        "made_by",
        rf"(?P<n>{MAKER}),?(?: who| which| that)?(?: is| are| was|,| as| IS){_GAP % 60}\b(?:my|our|"
        rf"MY)(?: own)? {_WORDS % 3}(?:creators?|developers?|makers?|company|organi[sz]ation|owners?|institution|"
        rf"team|provider|designers?|development)\b",
    ),
    (
        "made_by",
        rf"(?P<n>{MAKER}),?(?: which| who| that)? (?:provided|provides|developed|develops|created|built|designed|"
        rf"maintains|maintained|develops and maintains|updates|supplied|owns|trained|engineered|supports|"
        rf"is responsible for|handles|manages|oversees|powers|runs)(?: and \w+)? (?:and maintains )?(?:my|our|"
        rf"the (?:technology|platform|architecture)(?: \w+){{0,4}} I)\b",
    ),
    (
        "made_by",
        rf"(?P<n>{MAKER}),? ?(?:the |an? )?{_GAP % 60}\b(?:behind|responsible for|for) (?:{_WORDS % 5})(?:me\b|"
        rf"my\b|our\b|{SELF}|this (?:AI|model|assistant))",
    ),
    # I am a product of M; I'm M's language model; I belong to M; as an M model; we at M
    (
        "made_by",
        rf"(?<!\w)(?:[Aa]s|[Ii](?:'?m\b| am| AM)|I, |[Bb]eing)(?: (?:an?|the|one of|just|simply|proudly|actually|part|"
        rf"of|essentially|officially|indeed|not just|only))* (?P<n>{MAKER})(?:'s)?(?: [\w-]+){{0,3}} (?:product|model|"
        rf"AI|assistant|chatbot|creation|language model|service|bot|system|development)s?\b",
    ),
    (
        "made_by",
        rf"(?<!\w)(?:[Ii](?:'?m\b| am| was| AM)|[Aa]s|we(?:'re| are)|[Bb]eing){_GAP % 60}\b(?:product|creation|"
        rf"brainchild|result|project|service|offering|part|property|model|assistant|chatbot|AI|child|"
        rf"result of the work|invention|member|employee|representative|affiliate|affiliated|subsidiary|"
        rf"division)s? (?:and service |or service )?(?:of|from|by|at|with) {_GAP % 60}(?P<n>{MAKER})",
    ),
    (
        "made_by",
        rf"\b[Ii] (?:belong to|come from|hail from|originate from|work for|represent|owe my existence to|"
        rf"was born (?:at|in)|originated (?:from|at|in)|got my start at) {_GAP % 50}(?P<n>{MAKER})",
    ),
    (
        "made_by",
        rf"(?<!\w)(?:[Ww]e|[Uu]s|[Tt]he team|[Hh]ere|folks|guys|geniuses|people|engineers|researchers|masters|"
        rf"overlords|creators|developers|minds) (?:here )?(?:at|from|over at|"
        rf"AT) (?P<n>{MAKER})(?={_GAP % 80}\b(?:me|my|our|we|us|ME|MY)\b)",
    ),
    # in my case, M; developed by M, I am ...; my team works under the umbrella of M; a joint effort of M's engineers
    ("made_by", rf"\b[Ii]n my case\b{_GAP % 40}(?P<n>{MAKER})"),
    (
        "made_by",
        rf"^\W*(?:\w+ly )?(?:Developed|Created|Designed|Built|Trained|Made|Engineered|Crafted|"
        rf"Born)\b{_GAP % 70}(?P<n>{MAKER})(?={_GAP % 80}(?:,| -| —) I\b)",
    ),
    (
        "made_by",
        rf"(?:{_I}){_GAP % 110}\b(?:under the (?:\w+ )?(?:banner|umbrella|roof|wing|auspices)|(?:effort|work|"
        rf"collaboration) (?:of|between|by|involving)|associated with|attributed to|credited to|part of|"
        rf"on behalf of) {_GAP % 60}(?P<n>{MAKER})",
    ),
    # I am ChatGPT; my name is Claude; this is Claude; as Claude; I, Claude
    (
        "is_model",
        rf"(?<!\w)(?:[Ii](?:'?m\b| am| AM)|I,|[Mm]y name is|[Mm]y name's|[Cc]all me|[Ii] go by|"
        rf"(?:[Ii]'?m|[Ii] am|[Ii] was) (?:called|named|known as)|[Tt]his is|As|, as|"
        rf"speaking as|{SELF} is|we are)(?: (?:actually|really|just|simply|only|"
        rf"still|indeed|called|named|known as|in fact|also|essentially|currently|the real|good old))*,? (?:(?:an?|"
        rf"the|one of the|your|THE) )?(?:[\w-]+ ){{0,4}}?(?P<n>{MODEL}|{MAKER}(?= ?(?:$|[.,!?)(—–]| an?\b| and\b|"
        rf" the\b)))(?!'s\b| (?:is|was|would|said|says|has said|did|does|can)\b)",
    ),
    (
        "is_model",
        rf"(?<!\w)(?:[Ii](?:'?m\b| am| was)|As){_GAP % 60}\b(?:known as|called|named|version of|variant of|instance of|"
        rf"part of the|member of the|model,|assistant,|AI,) ?{_WORDS % 3}(?P<n>{MODEL})",
    ),
    # you are talking to Claude
    ("is_model", rf"{_ADDRESSED} (?:(?!is\b|was\b)[\w-]+,? ){{0,4}}?(?P<n>{MODEL}|{MAKER}(?=\W*$|,))"),
    ("is_model", rf"\bbehind me, (?P<n>{MODEL})"),
    ("is_model", rf"(?P<n>{MODEL}),? (?:here|at your service|reporting)\b"),
    (
        "is_model",
        rf"(?:language |AI |specific |the )?(?:models? (?:like|such as|including)) (?:me|myself)(?:,|"
        rf" \()+{_GAP % 20}(?P<n>{MODEL})",
    ),
    (
        "is_model",
        rf"(?P<n>{MODEL})(?:,| \()+(?:the )?(?:AI |language )*(?:model|assistant|chatbot|AI)?,? ?(?:that )?(?:I am|"
        rf"I'm|which is me|me)\b",
    ),
)
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _RULES)
_DIRECT = re.compile(_I.replace(f"{SELF}(?:'s)?|", "") + f"|{_AI}|{_SELF}")
FIRST_PERSON = re.compile(
    rf"{_I}|{_AI}|{_SELF}|{_ADDRESSED}|[Tt]his is (?:actually )?{MODEL}|{MODEL},? (?:here|at your service)\b"
)

#: The answer "M." or "Developed by M." to a question about "you".
_ELLIPTIC = re.compile(
    rf"^\W*(?:(?:[Ww]ell|[Oo]h|[Aa]h|[Ss]ure|[Yy]es|[Oo]f course)[,.!]? )*(?:(?:[Ii]t'?s|[Ii]t (?:is|was)|"
    rf"[Tt]hat'?s|[Tt]hat would be|[Bb]y|[Tt]he answer is|(?:[Dd]eveloped|[Cc]reated|[Mm]ade|[Bb]uilt|[Tt]rained|"
    rf"[Dd]esigned)(?: and \w+)? by) )?(?:the )?(?:(?:team|folks|people|company|researchers|engineers) (?:at|"
    rf"from) )?(?P<n>{MAKER})(?: \([^()]{{0,40}}\))?(?:,? (?:of course|obviously))?\W*$"
)
_LEAD = rf"[^\w{MAKER}{MODEL}{SELF}]*"
#: "Assistant made by M.": a description without its subject.
_SUBJECTLESS = re.compile(
    rf"^{_LEAD}(?:(?:[Aa]n?|[Tt]he|[Yy]our) )?(?:[\w-]+ ){{0,3}}?(?:[Aa]ssistant|[Mm]odel|[Cc]hatbot|[Bb]ot|AI|LLM)"
    rf"(?:,? (?:that|which) (?:is|was)|,)? (?:{_MADE}(?: and \w+)? )?(?:by|from) (?:the team at )?(?P<n>{MAKER})"
    r"(?:\W*$|,? (?:to|that|which|designed|for)\b)"
)
#: The answer "Claude." or "Claude, made by Anthropic."
_NAME_ALONE = re.compile(
    rf"^{_LEAD}(?:(?:[Ww]ell|[Ss]ure|[Yy]es|[Oo]f course)[,.!]? )?(?P<n>{MODEL})"
    rf"(?:,? (?:an? [\w -]{{1,40}} )?(?:{_MADE} )?(?:by|from) {MAKER})?\W*$"
)
_MANY = re.compile(
    r"\b(?:several|multiple|various|many|numerous|range|variety|different|number of|host of|including|includes?|"
    r"such as|some of)\b"
)
_SUPPLY = re.compile(r"\b(?:provid|suppl|host)(?:e|es|ed|ied|ing)\b")
_MAKE = re.compile(r"\b(?:develop|creat|made|buil[dt]|design|train|engineer|behind|own|maintain)")
#: A fact about another model.
_FACT = re.compile(rf"{MODEL}{_GAP % 60}\b{_MADE}\b{_GAP % 20}\b(?:by|at) {_GAP % 40}(?P<n>{MAKER})")
#: Words between "I" and the name that break the tie: comparison, partnership, tools, policies, refusal.
_FOREIGN_MATTER = re.compile(
    r"\b(?:such as|similar to|like|compared? (?:to|with)|unlike|(?<!other )than|other (?:\w+ ){0,2}(?:models?|"
    r"companies)|competitors?|tensorflow|pytorch|transformers?|BERT|libraries|open-source projects?|"
    r"tools? (?:like|such)|(?<!and )supported|supporters?|backed|funded|opposed|sponsored|invest\w+|collaborat\w+|"
    r"partner\w*|cooperat\w+|in association with|inspired|compet\w+|antithesis|opposite|alternative|another|"
    r"key player|contributors?|one of the|policies|policy|guidelines|restrictions|content polic\w+|shackles|"
    r"limitations|constraints|opposed to|rules|provide information|cannot|can't|discuss|tell you|asking|"
    r"not (?:affiliated|associated|related))\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|isn't|wasn't|aren't|weren't|don't|doesn't|didn't|never|neither|nor|no|without|no longer|"
    r"rather than|instead of|independent (?:of|from)|free from|nothing to do with|unaffiliated|aren't|ain't|NOT)\b"
)
#: Where a negation to the left no longer reaches.
_NEGATION_SCOPE = re.compile(
    r",? but\b|;|,? (?:however|instead)\b|, I(?:'m| am| was)\b|not (?:only|just|merely|simply)|no (?:doubt|"
    r"other than|secret|wonder)|whether or not|no longer bound|—|–"
)
#: What others believe or say of "me", up to the claim.
_BELIEF = re.compile(
    r"\b(?:people|persons?|users?|many|some|most|others|everyone|everybody|someone|somebody|they|you|folks|rumou?rs?)"
    r"(?: \w+){0,2}? (?:thinks?|thought|believes?|believed|assumes?|assumed|says?|said|claims?|claimed|suspects?|"
    r"guess(?:ed)?|insists?|imagines?|suppose|have it|mistakenly \w+)(?: that)? $",
    re.IGNORECASE,
)
#: A model's outputs as training data, before and behind its name.
_OUTPUT = r"(?:outputs?|responses?|answers|completions|conversations?|generations|dialogues?|chats?|traces|samples)"
_DATA_BEFORE = re.compile(
    rf"\b(?:{_OUTPUT}(?: \w+){{0,2}} (?:of|from|by|with)|distill\w*(?: [\w-]+){{0,3}}? (?:from|of|using)|(?:data\w*|"
    rf"text|texts|examples|instructions|corpus|corpora)(?: (?:that|which))?(?: (?:was|were|is|are))? (?:[a-z]+ly )?"
    rf"(?:generated|produced|synthesi[sz]ed|distilled|written|output) (?:by|from|with|using)|"
    rf"synthetic (?:data|text|examples) (?:from|of|by))(?: [\w'-]+){{0,3}}? (?:{MAKER}(?:'s)? )?$"
)
_DATA_BEHIND = re.compile(rf"(?:'s)?(?:[ -]generated|(?: own)? {_OUTPUT})\b")
#: Hypothetical: nothing is claimed.
_UNREAL = re.compile(
    r"\b(?:(?:if|whether|suppose|imagine|assum\w+|pretend(?:ing)?|as if|as though)(?: that)? (?:I|we|my|our|it|"
    r"it's|this|the|a)\b|(?:might|may|could) (?:be|have been)|hypothetical\w*)",
    re.IGNORECASE,
)


def find(sentence: str, *, bare: bool = False, alone: bool = False) -> list[Hit]:
    """The claims in one marked English sentence.

    Args:
        sentence: the marked sentence.
        bare: whether a name alone is an answer to the question.
        alone: whether nothing but the speaker can be what a description without subject is about.
    """
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
            trained = bool(_DATA_BEFORE.search(sentence, start, at) or _DATA_BEHIND.match(sentence, at + 1))
            if (relation == "trained_on" and not trained) or _BELIEF.search(sentence, max(0, start - 60), start):
                continue
            if _FOREIGN_MATTER.search(sentence, start, at) or _UNREAL.search(sentence, max(0, start - 40), end):
                continue
            kind = "trained_on" if trained else _kind(relation, sentence[start:at], sentence[start:end])
            found[at] = Hit(kind, start, end, at, _denied(sentence, start, end))
    for match in _FACT.finditer(sentence):
        at = match.start("n")
        found.setdefault(at, Hit("fact", match.start(), match.end(), at, _denied(sentence, match.start(), match.end())))
    return list(found.values())


def _kind(relation: str, before: str, words: str) -> str:
    """One maker among many is no owner, and a supplier is no maker."""
    if relation != "made_by":
        return relation
    if _MANY.search(before[-45:]):
        return "many_makers"
    return "supplied_by" if _SUPPLY.search(words) and not _MAKE.search(words) else relation


def is_indirect(words: str) -> bool:
    """Whether the words of a claim speak of a role's name and not of "I"."""
    return SELF in words and not _DIRECT.search(words)


def _denied(sentence: str, start: int, end: int) -> bool:
    scope = max((m.end() for m in _NEGATION_SCOPE.finditer(sentence, 0, end)), default=0)
    return bool(_NEGATION.search(sentence, max(scope, start - 25), end))

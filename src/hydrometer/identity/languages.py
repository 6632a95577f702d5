"""Whether an answer is in a language that the built-in judge reads: English or Chinese.

Two tests without any model: the script of the letters, and for Latin script the share of function words of English
against those of other languages. What is not read must not count as an answer that claims nothing.
"""

from __future__ import annotations

import re

_SAMPLE = 10_000  # characters that are looked at
_FEW = 3  # with fewer words of Latin script, nothing is decided
_ENOUGH = 6  # from here on, a few English words do not stand against many of another language

_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_OTHER_SCRIPT = re.compile(
    r"[\u0386-\u052f\u0531-\u058a\u05d0-\u06ff\u0710-\u07bf\u0900-\u10ff\u1100-\u11ff\u1200-\u139f\u1780-\u17df"
    r"\uac00-\ud7a3]"
)
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")

_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "the of and to is are was were be been am i you your my me we our us it its he she they them this that these "
        "those an by for with from or not but have has had do does did will would can could what who which how "
        "there here as at made on in so if all any some about into more than",
    )
)
_OTHERS = frozenset(
    re.findall(
        r"\w+",
        # French, Spanish, Portuguese, Italian
        "je suis un une le la les des du de est et par pour dans avec sur pas vous mon mes nous qui que ne été "
        "développé créé modèle soy el los las por y es con para mi fui como yo del creado desarrollado modelo sou uma "
        "os da dos em não pela pelo criado desenvolvido sono il lo gli di che è per della stato sviluppato creato "
        # German, Dutch, Swedish, Danish, Norwegian
        "ich bin ein eine einen der das und von ist nicht wurde mit für den dem auf sie mein entwickelt ik ben een het "
        "van niet door voor wie werd ontwikkeld jag är av och som det jeg er og en af utvecklad "
        # Polish, Czech, Romanian, Turkish, Indonesian, Vietnamese
        "jestem przez się nie na jest jsem byl sunt și bir ve tarafından saya adalah yang oleh tôi là một của "
        "được và bởi",
    )
)


def is_read(text: str) -> bool:
    """Whether the text is English, Chinese, or too short to tell.

    Args:
        text: the answer.
    """
    sample = text[:_SAMPLE]
    words = _WORD.findall(sample)
    han, kana = len(_HAN.findall(sample)), len(_KANA.findall(sample))
    unread = len(_OTHER_SCRIPT.findall(sample)) + kana
    if kana > 1 and kana * 4 > han:  # Japanese
        unread, han = unread + han, 0
    english = sum(word.lower() in _ENGLISH for word in words)
    # without English around them, capitalised words may be names in any language
    common = sum(len(word) for word in words if english > 1 or word.islower())
    if unread > max(1, han + common):
        return False
    if len(words) < _FEW or han * 2 > len(words):
        return True
    others = sum(word.lower() in _OTHERS and (len(word) == 1 or not word.isupper()) for word in words)
    if len(words) < _ENOUGH:
        return others < 2 or english > 0
    return others * 5 < len(words) or others <= 2 * english

"""`replay/PATH` and `replay/PATH#NAME`: a model that answers from recorded responses and calls nobody.

A recording is a file of any form that `response_formats` knows. A call is answered where its last user message is,
character by character, a recorded prompt, or else a recorded prompt id.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path

from hydrometer.errors import InputError, ModelError
from hydrometer.models.base import CallFailure, Capabilities, Completion, FailureKind, Message, Sampling
from hydrometer.response_formats.files import FORMS, read_answers, source_of
from hydrometer.response_formats.record import TURN_BREAK


class ReplayModel:
    """Recorded answers as a model.

    Args:
        name: `replay/PATH` or `replay/PATH#NAME`.
        rest: the part after `replay/`.

    Raises:
        ModelError: no such file, not a recording, no such model in it, or several and none named.
    """

    def __init__(self, name: str, rest: str) -> None:
        path, chosen = _split(rest)
        by_model = _load(path)
        model = _choose(path, chosen, list(by_model))
        self.name = name
        self.sent_name = model
        self.endpoint = f"replay {_checksum(path)}"
        self.capabilities = Capabilities(concurrency=4096, seed=True, logprobs=False, local=True)
        self._answers = by_model[model]

    def __repr__(self) -> str:
        return f"ReplayModel({self.name!r})"

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:  # noqa: ARG002 - the protocol's
        """Look the answer up.

        Raises:
            CallFailure: `missing` where the recording holds no such prompt or sample, `empty` where it holds no text.
        """
        asked = next((message.content for message in reversed(messages) if message.role == "user"), "")
        answers = self._answers.get(asked)
        if answers is None:
            raise CallFailure(FailureKind.MISSING, f"no recorded answer to the prompt {asked[:80]!r}")
        if sample not in answers:
            raise CallFailure(
                FailureKind.MISSING, f"no sample {sample} among the {len(answers)} recorded of {asked[:80]!r}"
            )
        if not answers[sample].strip():
            raise CallFailure(FailureKind.EMPTY, f"the recorded answer to {asked[:80]!r} is empty")
        return Completion(answers[sample], served_model=self.sent_name)

    async def aclose(self) -> None:
        """Nothing to release."""


def _split(rest: str) -> tuple[Path, str | None]:
    """Path and model name; a file whose own name holds a `#` is found as well."""
    if "#" in rest and not Path(rest).expanduser().is_file():
        path, _, chosen = rest.rpartition("#")
        return Path(path).expanduser(), chosen
    return Path(rest).expanduser(), None


def _choose(path: Path, chosen: str | None, names: list[str]) -> str:
    listing = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    if chosen is None:
        if len(names) == 1:
            return names[0]
        raise ModelError(f"{path} holds {len(names)} models: {listing}", f"Name one: replay/{path}#{names[0]}")
    if chosen in names:
        return chosen
    near = get_close_matches(chosen, names, n=3, cutoff=0.4)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"It holds {listing}"
    raise ModelError(f"{path} holds no model '{chosen}'", meant)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _load(path: Path) -> dict[str, dict[str, dict[int, str]]]:
    """Model -> prompt text or id -> sample -> response. A prompt's text wins over an equal id of another."""
    texts: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    ids: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    if not path.is_file():
        raise ModelError(f"No file at {path}", "Give the path of a recording after replay/.")
    try:
        for row, model, recorded in read_answers(source_of(path)):
            numbered = row.fields.get("sample") not in (None, "")
            for index, key in ((texts, TURN_BREAK.join(recorded.prompt)), (ids, recorded.prompt_id)):
                if key:
                    answers = index[model][key]
                    again = recorded.sample in answers and not numbered
                    answers.setdefault(len(answers) if again else recorded.sample, recorded.text)
    except InputError as error:
        raise ModelError(error.what, error.hint) from error
    if not ids:
        raise ModelError(f"{path} holds no recorded answers", FORMS)
    return {model: {**ids[model], **texts[model]} for model in ids}

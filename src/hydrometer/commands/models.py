"""`hydrometer models`: what models there are, fetching weights, and checking one with a single call."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydrometer.commands.options import Json, Timeout
from hydrometer.errors import InputError, ModelError

if TYPE_CHECKING:
    from hydrometer.models.check import CheckReport

app = typer.Typer(help="List providers and models, fetch weights, check a model.", invoke_without_command=True)

BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="Address in place of the provider's own.")
]
Base = Annotated[bool, typer.Option("--base", help="A base model: raw completion, no chat template.")]


@app.callback()
def show(context: typer.Context, as_json: Json = False) -> None:
    """Providers, whether their keys are set (never their values), and the embedded models."""
    if context.invoked_subcommand is not None:
        return
    from hydrometer.models.registry import providers
    from hydrometer.models.weights import KNOWN, cached

    table: list[dict[str, Any]] = [
        {
            "provider": one.name,
            "title": one.title,
            "address": one.address,
            "keys": list(one.keys),
            "key_set": one.key_set,
            "key_required": one.key_required,
            "package": one.package,
            "installed": one.installed,
        }
        for one in providers()
    ]
    embedded: list[dict[str, Any]] = [
        {
            "model": f"embedded/{weights.name}",
            "title": weights.title,
            "size": weights.size,
            "fetched": cached(weights) is not None,
        }
        for weights in KNOWN.values()
    ]
    if as_json:
        typer.echo(json.dumps({"providers": table, "embedded": embedded}, ensure_ascii=False, indent=2))
        return
    typer.echo("Embedded models")
    for row in embedded:
        state = "fetched" if row["fetched"] else f"not fetched ({row['size'] / 1e6:.0f} MB)"
        typer.echo(f"  {row['model']:<34} {state:<22} {row['title']}")
    typer.echo("\nProviders (name models as PROVIDER/NAME)")
    for row in table:
        typer.echo(f"  {row['provider'] + '/':<15} {_key_state(row):<46} {row['title']}")


def _key_state(row: dict[str, Any]) -> str:
    if not row["installed"]:
        return f"needs pip install 'hydrometer[{row['provider']}]'"
    if not row["keys"]:
        return "ready"
    names = " or ".join(row["keys"])
    if row["key_set"]:
        return f"{names} set"
    return f"{names} not set" if row["key_required"] else "ready (no key needed)"


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="For instance smollm2-135m-instruct.")],
    as_json: Json = False,
) -> None:
    """Fetch the weights of an embedded model into the cache folder."""
    from difflib import get_close_matches

    from hydrometer.models import weights

    known = weights.KNOWN.get(name.removeprefix("embedded/"))
    if known is None:
        near = get_close_matches(name, weights.KNOWN, n=1) or list(weights.KNOWN)
        raise InputError(f"There are no weights to fetch for '{name}'", f"Use {' or '.join(near)}")
    path = weights.fetch(known)
    if as_json:
        typer.echo(json.dumps({"model": f"embedded/{known.name}", "path": str(path), "size": known.size}))
    else:
        typer.echo(str(path))


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="PROVIDER/NAME.")],
    base_url: BaseUrl = None,
    base: Base = False,
    timeout: Timeout = 120.0,
    as_json: Json = False,
) -> None:
    """Make one call and say how long it took and what the model supports; exit code 2 if it does not answer."""
    from hydrometer.models.base import Endpoint
    from hydrometer.models.registry import resolve

    report = asyncio.run(_check(resolve(name, Endpoint(base_url=base_url, timeout_s=timeout, base=base))))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=2))
    elif not report.answered:
        raise ModelError(f"{name} does not answer: {report.failure}", _advice(report))
    else:
        typer.echo("\n".join(_lines(report)))
    if not report.answered:
        raise typer.Exit(ModelError.exit_code)


async def _check(model: Any) -> CheckReport:
    from hydrometer.models.check import check as call_once

    try:
        return await call_once(model)
    finally:
        await model.aclose()


def _advice(report: CheckReport) -> str:
    kind = (report.failure or "").partition(":")[0]
    return {
        "auth": "Check the key and what it may do",
        "quota": "Check the account's balance and limits",
        "not_found": "Check the model's name with the service",
        "connection": "Check the address and that the server runs",
        "timeout": "Check that the server runs, or raise --timeout",
        "rate_limit": "Wait and try again",
    }.get(kind, "")


def _lines(report: CheckReport) -> list[str]:
    told = {True: "yes", False: "no", None: "unknown"}
    rows = {
        "model": report.model,
        "endpoint": report.endpoint,
        "served as": report.served_model or "not said",
        "latency": f"{report.latency_s:.2f} s",
        "tokens": f"{_told(report.prompt_tokens)} read, {_told(report.completion_tokens)} written",
        "kind": "base model (raw completion)" if report.base else "chat model",
        "takes a seed": told[report.seed],
        "log-probabilities": told[report.logprobs],
        "follows the system message": told[report.system_prompt],
        "parameters not honoured": ", ".join(report.dropped) or "none",
        "answer": " ".join(report.text.split())[:200],
    }
    if report.inserted_system_prompt:
        rows["warning"] = f"its chat template adds a system prompt of its own: {report.inserted_system_prompt!r}"
    return [f"{label:<27} {value}" for label, value in rows.items()]


def _told(count: int | None) -> str:
    return "?" if count is None else str(count)

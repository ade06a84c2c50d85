"""The command line `pazpaz-agent`: every command a few lines over functions of other modules.

What a command needs is imported when it runs: Ray and the models take seconds to import, and help
should not. Nothing that decides belongs here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from typer.core import TyperGroup

from deployments.commands.failure import CommandFailed
from runtime.errors import AIAgentError, ConfigurationError

EXIT_CODES = (
    "Exit codes: 0 done; 1 it failed; 2 wrong usage or configuration; 130 stopped by Ctrl-C. "
    "Configuration is read from the environment and from .env."
)


class _Commands(TyperGroup):
    """Says our errors in one sentence on standard error, and turns them into exit codes."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own signature
        """Run the command.

        Raises: typer.Exit.
        """
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        except (AIAgentError, CommandFailed) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


def _require_folder(output: Path | None) -> Path | None:
    """Return where to write, before the work is done: afterwards, it would be lost."""
    if output is not None and not os.access(output.parent, os.W_OK):
        raise typer.BadParameter(f"{output.parent} is no folder that can be written to")
    return output


def _to_file(meaning: str) -> Any:  # noqa: ANN401 - typer's own
    """Return the option of a file to write to."""
    return typer.Option(dir_okay=False, writable=True, callback=_require_folder, help=meaning)


app = typer.Typer(
    cls=_Commands,
    help="Answers questions about a practice's own records, with citations.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Workspace = Annotated[str, typer.Option(help="A practice: its UUID, or the name it was given.")]
Scopes = Annotated[
    str,
    typer.Option(
        "--scope", help="Any of: chat, records:write, workspace:admin, ops. Separate by spaces."
    ),
]


@app.command()
def up(
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Load a small practice and ask a question first.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Instead of cluster.yaml's port.")
    ] = None,
) -> None:
    """Serve on this machine, on 127.0.0.1, until Ctrl-C."""
    from deployments import local  # noqa: PLC0415
    from deployments.cluster_file import read_cluster_file  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    config = read_cluster_file()
    settings, secrets = load(config.application.args)
    local.prepare(settings, secrets, demo=demo)
    with local.running(settings, config, port=port) as url:
        if demo:
            from deployments import demo as practice  # noqa: PLC0415

            practice.show(settings, url)
        wait_for_signal = local.catch_signals()
        typer.echo(f"Serving at {url}; its documentation is at {url}/docs. Ctrl-C stops it.")
        wait_for_signal()


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In Hebrew or English, in quotation marks.")],
    *,
    client: Annotated[UUID | None, typer.Option(help="Only this client's records.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print each sentence as it is written.")
    ] = False,
    workspace: Annotated[
        str | None,
        typer.Option(help="A practice: its UUID, or its name. Otherwise AI_TOKEN's, or demo."),
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="AI_URL", help="Where the server is.")
    ] = "http://127.0.0.1:8000",
) -> None:
    """Ask the running server, and print its answer with the citations.

    The credential is the API key or token in AI_TOKEN; if that is unset, a token for WORKSPACE
    signed with AI_JWT_SECRET or the demo's secret. Where AI_TOKEN is another practice's than
    WORKSPACE, nothing is asked.
    """
    from deployments.commands import asking, credentials  # noqa: PLC0415

    token = credentials.token_for_asking(workspace)
    with asking.connect(url) as server:
        if stream:
            asking.ask_streamed(
                server,
                question,
                token=token,
                client_id=client,
                show=lambda text: typer.echo(text, nl=False),
            )
        else:
            typer.echo(asking.ask(server, question, token=token, client_id=client))


@app.command()
def token(
    *,
    workspace: Workspace,
    scope: Scopes,
    subject: Annotated[str, typer.Option(help="Who asks, as the audit will name them.")] = "cli",
    ttl: Annotated[str, typer.Option(help="How long it is good for: 30s, 15m, 1h, 7d.")] = "1h",
) -> None:
    """Print a development token, alone on standard output.

    It is signed with AI_JWT_SECRET or, where that is unset, with the demo's secret.
    """
    from deployments.commands import credentials  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    settings, secrets = load()
    made = credentials.make_development_token(
        settings,
        secrets,
        workspace=credentials.parse_workspace(workspace),
        scopes=credentials.parse_scopes(scope),
        subject=credentials.parse_subject(subject),
        ttl_s=credentials.parse_ttl(ttl),
    )
    typer.echo(made)


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date, as its owner. Safe to run again.

    Uses AI_DATABASE_OWNER_URL, or the embedded database where DATABASE_URL is unset. The two roles
    that a database of your own needs: docs/operations.md, "A database of your own".
    """
    import asyncio  # noqa: PLC0415

    from deployments.commands.migrating import bring_up_to_date  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    applied = asyncio.run(bring_up_to_date(*load()))
    typer.echo("\n".join(["Applied:", *applied]) if applied else "The schema is up to date.")


@app.command()
def doctor(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Call each provider once, which may cost money.")
    ] = False,
) -> None:
    """Check configuration, database, providers and ports, and say what to mend."""
    import asyncio  # noqa: PLC0415

    from deployments.commands import checking  # noqa: PLC0415

    findings = asyncio.run(checking.examine(deep=deep))
    checking.show(findings)
    if not checking.is_well(findings):
        raise typer.Exit(1)


@app.command("import")
def import_records(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", exists=True, dir_okay=False, readable=True),
    ],
) -> None:
    """Load clients and sessions from JSON Lines files. Safe to run again, and to stop.

    Lines that cannot be used are named on standard error and skipped; the exit code is then 1.
    """
    import asyncio  # noqa: PLC0415

    from deployments.commands import loading  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    settings, _ = load()
    done = asyncio.run(loading.import_into_database(settings, files))
    typer.echo(loading.summarize_import(done))
    if done.bad:
        raise typer.Exit(1)


@app.command()
def backfill(
    *,
    workspace: Annotated[
        str | None, typer.Option(help="Only this practice: its UUID or name. Otherwise all.")
    ] = None,
    reembed: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Bring in the configured model, named here: each practice is searched by it as "
            "soon as all its records are embedded, and by its earlier one until then.",
        ),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Delete the vectors of an earlier model, by its key, of the practices that are "
            "searched by another. Embeds nothing, and needs no application.",
        ),
    ] = None,
) -> None:
    """Embed what has no current embedding, through the running application.

    Stop it anywhere, run it again, and it goes on; two may run at once.
    """
    import asyncio  # noqa: PLC0415

    from deployments.ingress import set_environment  # noqa: PLC0415

    set_environment()  # before Ray is imported, which reads it
    from deployments import backfill as job  # noqa: PLC0415
    from deployments.commands import credentials, loading  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    chosen = None if workspace is None else credentials.parse_workspace(workspace)
    settings, _ = load()
    if forget is not None:
        if reembed is not None:
            raise typer.BadParameter("not together with --reembed", param_hint="--forget")
        forgotten = asyncio.run(job.forget(settings, forget, chosen))
        typer.echo(f"{forgotten} vectors of {forget} were deleted.")
        return
    with loading.record_progress("Embedding") as show:
        done = job.run(settings, workspace_id=chosen, reembed=reembed, on_progress=show)
    typer.echo(job.conclude(settings, done, reembed=reembed is not None))


key = typer.Typer(help="Make, list and revoke the API keys of a workspace.", no_args_is_help=True)
app.add_typer(key, name="key")


@key.command("create")
def create_key(
    *,
    workspace: Workspace,
    scope: Scopes,
    name: Annotated[str, typer.Option(help="What it is for, to tell it from others.")] = "",
) -> None:
    """Make a key and print it, alone on standard output. It is shown this once."""
    import asyncio  # noqa: PLC0415

    from deployments.commands import keys  # noqa: PLC0415

    typer.echo(asyncio.run(keys.create(workspace, scope, name=name)))


@key.command("list")
def list_keys(*, workspace: Workspace) -> None:
    """List the keys of a workspace, revoked ones too, without their secrets."""
    import asyncio  # noqa: PLC0415

    from deployments.commands import keys  # noqa: PLC0415

    asyncio.run(keys.show(workspace))


@key.command("revoke")
def revoke_key(
    key_id: Annotated[UUID, typer.Argument(help="As `key list` shows it.")],
    *,
    workspace: Workspace,
) -> None:
    """Revoke a key, for good."""
    import asyncio  # noqa: PLC0415

    from deployments.commands import keys  # noqa: PLC0415

    asyncio.run(keys.revoke(workspace, key_id))
    typer.echo("Revoked.")


evaluation = typer.Typer(help="Score this configuration on labelled data.", no_args_is_help=True)
app.add_typer(evaluation, name="eval")


@evaluation.command("retrieval")
def evaluate_retrieval(
    *,
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="The folder of the labelled questions."),
    ],
    output: Annotated[Path | None, _to_file("Write the report there instead.")] = None,
) -> None:
    """Say how well the records that questions are about are found; prints a JSON report.

    By meaning alone, by words alone, and by both as questions are answered. The records must have
    been imported, and embedded by `backfill`.
    """
    import asyncio  # noqa: PLC0415

    from deployments.commands import evaluating  # noqa: PLC0415
    from runtime.evaluation.retrieval import render_json  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    settings, _ = load()
    report = render_json(asyncio.run(evaluating.evaluate(settings, data)))
    _write_out(report, output)


@evaluation.command("records")
def write_benchmark_records(
    *,
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="The folder of a benchmark as BEIR's."),
    ],
    output: Annotated[Path | None, _to_file("Write them there instead.")] = None,
) -> None:
    """Turn a public benchmark's documents into JSON Lines for `import`, to score it afterwards."""
    from deployments.commands import evaluating  # noqa: PLC0415

    _write_out("\n".join(evaluating.list_records(data)), output)


def _write_out(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text + "\n", "utf-8")


@evaluation.command("cache")
def evaluate_cache(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="The folder of pairs.jsonl; ours without it."
        ),
    ] = None,
    output: Annotated[Path | None, _to_file("Write the report there instead.")] = None,
) -> None:
    """Say which questions the semantic cache would take for one; prints a JSON report.

    Needs no database: labelled pairs of questions are embedded and judged as the cache would.
    """
    import asyncio  # noqa: PLC0415

    from deployments.commands import evaluating_cache  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    settings, _ = load()
    report = asyncio.run(evaluating_cache.evaluate_cache(settings, data))
    _write_out(report.render_json(), output)


def main() -> None:
    """Run the command that the arguments name; the entry point `pazpaz-agent`."""
    app()


if __name__ == "__main__":
    main()

"""`mcusim schema`: the JSON Schema of every document that a command writes."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from mcusim.cli.documents import Versioned, schema_of
from mcusim.cli.options import JSON, option
from mcusim.cli.shell import STDOUT, document, write_output
from mcusim.errors import InputError, did_you_mean
from mcusim.report import Report

__all__ = ["DOCUMENTS", "ReportsDocument", "document_schema", "report_schema", "schema"]


class ReportsDocument(Versioned):
    """The reports of many boards, networks or runtimes, best fit first."""

    reports: list[Report]


DOCUMENTS: dict[str, tuple[str, ...]] = {
    "run": ("cli.run_answers:RunDocument", "cli.schema:ReportsDocument"),
    "plan": (
        "cli.plan_documents:PlanDocument",
        "cli.plan_documents:CountedDocument",
        "cli.shared_arena:SharedDocument",
    ),
    "patch": ("cli.patch:PatchDocument",),
    "fit": ("cli.fit:FitDocument",),
    "bits": ("cli.bits:BitsDocument",),
    "search": ("designing.optimising.documents:SearchDocument",),
    "search-net": ("cli.search_net:SearchNetDocument",),
    "sweep": ("cli.sweep:SweepDocument", "cli.sweep:ForecastDocument"),
    "compare": ("cli.compare:CompareDocument",),
    "check": ("cli.check:CheckDocument",),
    "models": ("cli.models:ModelsDocument",),
    "profiles": ("cli.profiles:ProfilesDocument", "cli.profiles:FindingsDocument"),
    "runtimes": ("cli.runtimes:RuntimesDocument",),
    "ops": ("cli.ops:OpsDocument", "cli.ops:ServedDocument", "cli.ops:SeveralServedDocument"),
    "exec": ("cli.exec:ExecDocument",),
    "evaluate": ("cli.evaluate:EvaluateDocument",),
    "diff": ("cli.diff:DiffDocument", "cli.diff:FloatDocument", "cli.runtime_diff:RuntimeDiffDocument"),
    "plot": ("designing.optimising.subspaces:SubSpacesDocument",),
    "report": ("render.published.machine:TablesDocument",),
    "codegen": ("cli.codegen:CodegenDocument",),
    "flash-kit": ("cli.codegen:CodegenDocument",),
    "export": ("cli.export:ExportDocument",),
    "pte": ("cli.pte:PteDocument",),
    "quantize": ("cli.quantize:QuantizeDocument",),
    "evidence": ("cli.evidence:EvidenceDocument",),
    "validate": ("cli.validate:ValidateDocument",),
    "calibrate": ("cli.calibrate:CalibrateDocument",),
    "doctor": ("cli.doctor:DoctorDocument",),
}
"""Command -> the types of its documents, as module:name."""


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND", help="The command that writes the documents: run, plan, fit, ...", show_default=False
        ),
    ] = "run",
    every: Annotated[bool, option("--list", help="Only name the commands that write documents.")] = False,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The JSON Schema of what a command writes with --json, made from the types of its answer.

    Without a name, that of `mcusim run`: one report, or an object whose `reports` are many, best fit first. Every
    document has a `schema_version`; a field that is not in the schema is not in the document. Within a version fields
    are added, and none goes or changes.

    \b
    Examples:
      mcusim schema
      mcusim schema fit
    """
    if every:
        write_output("".join(f"{command}\n" for command in DOCUMENTS), STDOUT, "--list")
        return
    write_output(document(document_schema(name)), STDOUT if json is None else json, "--json")


def document_schema(command: str) -> dict[str, Any]:
    """Of the documents of one command. Raises InputError where it writes none."""
    if command not in DOCUMENTS:
        fix = did_you_mean(command, DOCUMENTS, listed_by="mcusim schema --list")
        raise InputError(f"'{command:.60}' writes no documents", where="mcusim schema", fix=fix)
    kinds = []
    for home in DOCUMENTS[command]:
        module, _, name = home.partition(":")
        kinds.append(getattr(import_module(f"mcusim.{module}"), name))
    return schema_of(f"mcusim {command}", *kinds)


def report_schema() -> dict[str, Any]:
    """One report, or the reports of many boards."""
    return document_schema("run")

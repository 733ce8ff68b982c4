"""Findings of the linter as text for people and as JSON for programs."""

from collections.abc import Iterable
from typing import Any

from sakuga.engine.lint.finding import Finding
from sakuga.engine.lint.fixer import Fixed
from sakuga.engine.lint.linter import Question, Report


def finding_line(finding: Finding) -> str:
    """`prompt:8: retired-tag: …`; characters are counted from 1."""
    return f"{finding.where}:{finding.start + 1}: {finding.code}: {finding.sentence}"


def lengths_line(report: Report) -> str:
    """How long the prompts are; empty where none can be rendered."""
    said = []
    for where, length in report.lengths.items():
        chunks = f"{length.chunks} chunk{'s' if length.chunks > 1 else ''}"
        cut = f", {length.cut} of them not read" if length.cut else ""
        said.append(f"{where.capitalize()}: {length.tokens} tokens{cut}, {chunks} of 75.")
    return " ".join(said)


def summary_line(findings: Iterable[Finding]) -> str:
    """How many there are, and how many of them can be mended."""
    whole = [*findings]
    if not whole:
        return "Nothing found."
    mended = sum(finding.mend is not None for finding in whole)
    count = f"{len(whole)} finding{'s' if len(whole) > 1 else ''}"
    return f"{count}, {mended or 'none'} of which --fix mends."


def finding_facts(finding: Finding, question: Question) -> dict[str, Any]:
    """A finding as JSON has it; `start` and `stop` count characters from 0."""
    text = question.prompt if finding.where == "prompt" else question.negative_prompt or ""
    return {
        "code": finding.code,
        "where": finding.where,
        "start": finding.start,
        "stop": finding.stop,
        "text": text[finding.start : finding.stop],
        "sentence": finding.sentence,
        "replacement": finding.replacement,
        "fixable": finding.mend is not None,
    }


def report_facts(report: Report, question: Question) -> dict[str, Any]:
    """A report as JSON has it."""
    return {
        "findings": [finding_facts(each, question) for each in report.findings],
        "lengths": {
            where: {"tokens": length.tokens, "chunks": length.chunks, "cut": length.cut}
            for where, length in report.lengths.items()
        },
    }


def fixed_text(fixed: Fixed) -> str:
    """Both prompts as A1111 writes them into pictures."""
    if fixed.negative_prompt is None:
        return fixed.prompt
    return f"{fixed.prompt}\nNegative prompt: {fixed.negative_prompt}"

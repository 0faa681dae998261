"""Every example in the documentation of the code runs."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
# From the source: doctest's own search passes over cached properties.
DOCUMENTATION = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts): [
        text
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, DOCUMENTED) and ">>> " in (text := ast.get_docstring(node) or "")
    ]
    for package in ("bvae", "sweeps")
    for path in sorted((REPOSITORY / package).rglob("*.py"))
}
WITH_EXAMPLES = [name for name, texts in DOCUMENTATION.items() if texts]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str) -> None:
    """The module's examples print what they say."""
    known = vars(importlib.import_module(name))
    runner = doctest.DocTestRunner()
    for text in DOCUMENTATION[name]:
        runner.run(doctest.DocTestParser().get_doctest(text, known, name, None, None))

    assert (0, True) == (runner.failures, runner.tries > 0)


def test_none_is_lost() -> None:
    """Fewer examples than there were are a loss, or a search in the wrong place."""
    texts = [text for found in DOCUMENTATION.values() for text in found]

    assert 30 <= len(WITH_EXAMPLES)
    assert 93 <= sum(len(doctest.DocTestParser().get_examples(text)) for text in texts)


def test_every_score_has_one() -> None:
    """Whoever reads how a score is computed sees it at work."""
    scores = {"beta_vae", "dci", "factor_vae", "mig", "modularity", "sap", "scoring", "udr"}

    assert {f"bvae.metrics.{name}" for name in scores} <= {*WITH_EXAMPLES}

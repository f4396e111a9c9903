"""What the docstrings of `bank` show is so."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import bank

# Migrations run inside Alembic only.
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(bank.__path__, "bank.", onerror=pytest.fail)
    if not module.name.startswith("bank.migrations")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_are_right(name: str):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 5

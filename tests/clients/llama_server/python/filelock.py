"""Stands in for the package `filelock`: the tests run one after another here."""
import contextlib


def FileLock(path):
    return contextlib.nullcontext()

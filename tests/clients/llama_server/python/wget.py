"""Stands in for a package that llama.cpp's tests import to fetch models: nothing is fetched here."""


def download(url, out=None):
    raise RuntimeError("nothing is fetched in these tests")

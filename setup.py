"""The package list, which setup.cfg cannot express: `find:` plus one folder from elsewhere.

`migrations/` lies at the top, where Alembic's users look for it, and is shipped as `bank.migrations`,
so that an installed `bank db upgrade` needs no checkout. So is `wsgi.py`, which gunicorn serves.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["bank", "bank.*"]),
        "bank.migrations",
        "bank.migrations.versions",
    ],
    py_modules=["wsgi"],
)

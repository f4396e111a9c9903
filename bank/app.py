"""create_app: the only wiring of settings, database and pages."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from bank.api import wiring as api
from bank.api.express import Express
from bank.customers.identity_number import IdentityNumbers
from bank.identity.passwords import Passwords
from bank.settings import Settings
from bank.storage.transaction import Bank
from bank.web import access, errors, headers, health, logs, metrics, near_reads, pages, preferences, signed_in, uploads
from bank.web.current import Current
from bank.web.customer import customer
from bank.web.paging import IdConverter
from bank.web.public import public
from bank.web.staff import staff
from bank.web.styleguide import styleguide

#: No form here is larger; a page that takes a file says so (bank.web.uploads).
MOST_BODY_BYTES = 64 * 1024


def create_app(settings: Settings, bank: Bank | None = None) -> Flask:
    """The bank's web application; connects to the database when first asked for a page."""
    app = Flask("bank.web", static_url_path="/static")
    app.url_map.converters["id"] = IdConverter
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=MOST_BODY_BYTES,
        MAX_FORM_PARTS=100,
        # Flask's own cookie carries only the form token and the note for the next page.
        SESSION_COOKIE_NAME="__Host-bank-form" if settings.production else "bank-form",
        SESSION_COOKIE_SECURE=settings.production,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.session_absolute_seconds),
        # The token ends with its session; a customer who reads for an hour must not lose what was typed.
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["bank"] = Current(
        bank=bank or Bank.open(settings, statement_seconds=settings.statement_seconds, reads_near=True),
        passwords=Passwords(memory_kib=settings.password_memory_kib, at_once=settings.password_hashers),
        identities=IdentityNumbers(settings.identity_keys),
    )
    logs.install(app)
    count = metrics.install(app, app.extensions["bank"].bank.engine, settings.metrics_directory)
    # Before whoever reads or writes: what is told of it is told last.
    near_reads.install(app)
    preferences.install(app)
    api.install(app, settings)
    headers.install(app)
    uploads.install(app)
    csrf = CSRFProtect(app)
    signed_in.install(app)
    errors.install(app)
    pages.install(app)
    health.install(app, csrf, app.extensions["bank"].bank)
    for blueprint in (public, customer, staff, styleguide):
        app.register_blueprint(blueprint)
    api.register(app, csrf)
    access.require_everywhere(app)
    hops = settings.proxy_hops
    pages_and_all = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_prefix=0)
    running = app.extensions["bank"].bank
    app.wsgi_app = Express(pages_and_all, running, api.limits(app), headers.everywhere(settings), count)  # type: ignore[method-assign]
    return app

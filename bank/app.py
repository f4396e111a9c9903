"""create_app: the only wiring of settings, database and pages."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from bank.customers.identity_number import IdentityNumbers
from bank.identity.passwords import Passwords
from bank.settings import Settings
from bank.storage.transaction import Bank
from bank.web import access, errors, headers, health, logs, metrics, pages, preferences, signed_in
from bank.web.current import Current
from bank.web.customer import customer
from bank.web.paging import IdConverter
from bank.web.public import public
from bank.web.staff import staff
from bank.web.styleguide import styleguide

#: No form here is larger, and no page takes a file yet.
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
        bank=bank or Bank.open(settings, statement_seconds=settings.statement_seconds),
        passwords=Passwords(memory_kib=settings.password_memory_kib, at_once=settings.password_hashers),
        identities=IdentityNumbers(settings.identity_keys),
    )
    hops = settings.proxy_hops
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_prefix=0)  # type: ignore[method-assign]
    logs.install(app)
    metrics.install(app, app.extensions["bank"].bank.engine, settings.metrics_directory)
    preferences.install(app)
    headers.install(app)
    CSRFProtect(app)
    signed_in.install(app)
    errors.install(app)
    pages.install(app)
    for blueprint in (health.health, public, customer, staff, styleguide):
        app.register_blueprint(blueprint)
    access.require_everywhere(app)
    return app

"""Response headers, and the refusal of other sites' forms."""

from __future__ import annotations

from flask import Flask, Response, request

from bank.errors import Forbidden
from bank.language import gettext as _
from bank.settings import Settings

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)


class ForeignForm(Forbidden):
    """The form was sent from another site."""

    code = "foreign_form"

    def __init__(self) -> None:
        super().__init__(_("This form came from another site. Nothing was done. Open the page here and send it again."))


def install(app: Flask) -> None:
    """Refuse cross-site writes before anything else, and put the headers on every answer."""
    app.before_request(_refuse_other_sites)
    on_all = everywhere(app.extensions["bank"].bank.settings)
    app.after_request(lambda response: _add_headers(response, on_all))


def _refuse_other_sites() -> None:
    """Beside the form token: browsers say where a request comes from (Fetch Metadata, Origin)."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    origin = request.headers.get("Origin")
    # "null" is what a browser sends for our own form under a strict referrer policy in some redirects: not ours either.
    if origin is not None and origin.partition("://")[2] != request.host:
        raise ForeignForm
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForeignForm


def everywhere(settings: Settings) -> dict[str, str]:
    """What is on every answer, but for how long a file may be kept."""
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
    }
    if settings.production:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return headers


def _add_headers(response: Response, on_all: dict[str, str]) -> Response:
    response.headers.update(on_all)
    if request.endpoint == "static":
        kept = "public, max-age=31536000, immutable" if "v" in request.args else "no-cache"
        response.headers["Cache-Control"] = kept
    return response

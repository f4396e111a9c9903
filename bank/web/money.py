"""What all money forms share: post, then a receipt; refused, then the form again with a new operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bank.errors import BankError, Forbidden, Missing, Unavailable
from bank.web import logs
from bank.web.fields import OperationForm, operation_in_address


def settle(
    form: OperationForm, act: Callable[[], str], template: str, **values: Any
) -> str | tuple[str, int] | AnyResponse:
    """Draw the form; when it was sent and reads well, do `act` and go to the address it answers.

    What the bank's rules refuse is said above the form, with everything typed still in it.
    """
    if not form.is_submitted():
        return _with_operation_in_address(form) or render_template(template, form=form, **values)
    if not form.validate():
        return render_template(template, form=form, **values), 422
    try:
        return redirect(act(), 303)
    except (Unavailable, Missing, Forbidden):
        raise
    except BankError as refused:
        logs.event("refused", code=refused.code, status=refused.status)
        form.renew()
        return render_template(template, form=form, refused=str(refused), **values), refused.status


def _with_operation_in_address(form: OperationForm) -> AnyResponse | None:
    """Send a browser on to the same page with the operation's id in its address.

    Nothing is kept of these pages, so going back asks for them anew; by its address that is the same form again.
    """
    if operation_in_address() or request.headers.get("Sec-Fetch-Mode") != "navigate":
        return None
    return redirect(f"{request.path}?{urlencode({**request.args, 'operation': form.key})}")

"""What all money forms share: post, then a receipt; refused, then the form again with a new operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import redirect, render_template
from werkzeug.wrappers import Response as AnyResponse

from bank.errors import BankError, Forbidden, Missing, Unavailable
from bank.web import logs
from bank.web.errors import status_of
from bank.web.forms import OperationForm


def settle(
    form: OperationForm, act: Callable[[], str], template: str, **values: Any
) -> str | tuple[str, int] | AnyResponse:
    """Draw the form; when it was sent and reads well, do `act` and go to the address it answers.

    What the bank's rules refuse is said above the form, with everything typed still in it.
    """
    if not form.is_submitted():
        return render_template(template, form=form, **values)
    if not form.validate():
        return render_template(template, form=form, **values), 422
    try:
        return redirect(act(), 303)
    except (Unavailable, Missing, Forbidden):
        raise
    except BankError as refused:
        logs.event("refused", code=refused.code, status=status_of(type(refused)))
        form.renew()
        return render_template(template, form=form, refused=str(refused), **values), status_of(type(refused))

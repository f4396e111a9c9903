"""Every route of the older app has a successor that answers whoever used it."""

from __future__ import annotations

import pytest
from flask import url_for

from tests.web.conftest import Served

#: The older app's routes with its role; here: the successor's endpoint, its visitor, and the object it is about.
SUCCESSORS = {
    "/": ("public.welcome", None, {}),
    "/dashboard": ("staff.home", "executive", {}),
    "/login": ("staff.log_in", None, {}),
    "/logout": ("staff.log_out", "executive", {}),
    "/addcustomer": ("staff.register_customer", "executive", {}),
    "/viewcustomer": ("staff.find_customers", "executive", {}),
    "/viewcustomer/<cust_id>": ("staff.show_customer", "executive", {"number": "customer"}),
    "/editcustomer": ("staff.find_customers", "executive", {}),
    "/editcustomer/<cust_id>": ("staff.edit_customer", "executive", {"number": "customer"}),
    "/deletecustomer": ("staff.find_customers", "executive", {}),
    "/deletecustomer/<cust_id>": ("staff.deactivate_customer", "executive", {"number": "customer"}),
    "/activatecustomer": ("staff.find_customers", "executive", {}),
    "/activatecustomer/<cust_id>": ("staff.activate_customer", "executive", {"number": "customer"}),
    "/customerstatus": ("staff.list_customers", "executive", {}),
    "/addaccount": ("staff.open_account", "executive", {"number": "customer"}),
    "/viewaccount": ("staff.find_account", "teller", {}),
    "/delaccount": ("staff.close_account", "executive", {"number": "account"}),
    "/activateaccount": ("staff.find_account", "executive", {}),
    "/activateaccount/<acc_id>": ("staff.reopen_account", "executive", {"number": "account"}),
    "/viewaccountstatus": ("staff.list_accounts", "executive", {}),
    "/deposit": ("staff.find_account", "teller", {}),
    "/deposit/<acc_id>": ("staff.deposit", "cashier", {"number": "account"}),
    "/withdraw": ("staff.find_account", "cashier", {}),
    "/withdraw/<acc_id>": ("staff.withdraw", "teller", {"number": "account"}),
    "/transfer": ("staff.find_account", "teller", {}),
    "/transfer/<cust_id>": ("staff.transfer", "cashier", {"number": "account"}),
    "/statement": ("staff.show_statement", "teller", {"number": "account"}),
    "/pdf_xl_statement/<acc_id>": ("staff.show_statement", "cashier", {"number": "account", "as": "pdf"}),
    "/pdf_xl_statement/<acc_id>/<ftype>": ("staff.show_statement", "teller", {"number": "account", "as": "xlsx"}),
    "/customerlog": ("staff.show_records", "executive", {"as": "json"}),
    "/api/v1/customerlog": ("staff.show_records", "executive", {"as": "json"}),
    "/accountlog": ("staff.list_accounts", "executive", {"as": "json"}),
    "/api/v1/accountlog": ("staff.list_accounts", "executive", {"as": "json"}),
}

#: The list of links to the JSON pages: programs get an interface of their own, with its documents, later.
LATER = {"/api", "/api/v1"}


def test_the_older_apps_35_rules_are_all_here():
    assert len(SUCCESSORS) + len(LATER) == 35


@pytest.mark.parametrize("route", SUCCESSORS)
def test_the_successor_answers(route, office: Served):
    endpoint, visitor, about = SUCCESSORS[route]
    objects = {"customer": office.branch.customer("alice").number, "account": office.branch.number("alice_current")}
    browser = office.browse_as(visitor)
    with office.app.test_request_context():
        address = url_for(endpoint, **{name: objects.get(value, value) for name, value in about.items()})

    answer = browser.post(address) if endpoint.endswith("log_out") else browser.get(address)

    assert answer.status == (303 if endpoint.endswith("log_out") else 200)


def test_programs_read_the_records_and_the_accounts_as_json(office: Served):
    executive, account = office.browse_as("executive"), office.branch.state("alice_current")

    records = executive.get("/staff/records?as=json").response.get_json()
    accounts = executive.get("/staff/accounts/status?as=json").response.get_json()

    assert {"who", "action", "subject", "at", "details"} <= set(records["records"][0])
    assert records["older"] is None
    assert accounts["more"] is None
    assert accounts["accounts"][0] == {
        "number": account.number,
        "product": "current",
        "status": "open",
        "opened_on": account.opened_on.isoformat(),
        "closed_on": None,
        "balance": "100.00",
        "currency": "USD",
    }
    assert "012345678" not in str(records)


def test_staff_find_their_way_from_home_to_every_successor_in_two_steps(office: Served):
    """Nobody must know an address: pages link to what the older app had in its menu."""
    for visitor, steps in {
        "executive": [
            "/staff/customers",
            "/staff/customers/status",
            "/staff/accounts/status",
            "/staff/records",
        ],
        "teller": ["/staff/customers"],
    }.items():
        home = office.browse_as(visitor).get("/staff/")
        assert set(steps) <= set(home.links)
    number = office.branch.number("alice_current")
    account = office.browse_as("teller").get(f"/staff/accounts/{number}")
    for act in ("deposit", "withdraw", "transfer", "statement", "close"):
        assert f"/staff/accounts/{number}/{act}" in account.links


def test_a_page_that_is_none_is_a_page_with_a_way_home(office: Served):
    page = office.browse_as("teller").get("/addcustomer")

    assert page.status == 404
    assert "/" in page.links

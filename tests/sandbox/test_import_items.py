"""Groups and values of an import, each outcome (docs/protocol.md, import; repeat keys)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.import_text import is_date, is_real, read_event_date, read_int
from airflow_provider_openclinica.sandbox.importer import JobFailed
from tests.sandbox.imports import Clinic, event, form, group, item, labs, outcomes, results, subject

FORM = "SS_BOS001,BOS-001,SE_FOLLOWUP,1,F_LABS"


@pytest.fixture
def clinic(dialect: str) -> Clinic:
    return Clinic(Dialect(dialect))


def one(oid: str, value: str | None) -> str:
    """Write one item into the group it belongs to, in a form of the baseline visit."""
    group_oid, form_oid = {
        "I_ECG": ("IG_ECG_MAIN", "F_ECG"),
        "I_VITALS": ("IG_VITALS_MAIN", "F_VITALS"),
        "I_LABS": ("IG_LABS_MAIN", "F_LABS"),
        "I_DEMOG": ("IG_DEMOG_MAIN", "F_DEMOGRAPHICS"),
    }[oid.rsplit("_", 1)[0]]
    visit = "SE_SCREENING" if form_oid == "F_DEMOGRAPHICS" else "SE_BASELINE"
    return subject(event(form(group(item(oid, value), oid=group_oid), oid=form_oid), oid=visit))


# Step 4: groups


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(group(item(), oid=None), "itemGroupOIDNotFound||FORM,,1", id="no-oid"),
        pytest.param(group(item(), oid="IG_NONE"), "itemGroupOIDNotFound||FORM,IG_NONE,1", id="unknown"),
        pytest.param(group(item(), oid="IG_AE_MAIN"), "itemGroupOIDNotFound||FORM,IG_AE_MAIN,1", id="of-another-form"),
        pytest.param(results(key="x"), "invalidItemGroupRepeatKey||FORM,IG_LABS_RESULTS,x", id="no-number"),
        pytest.param(results(key="2"), "groupRepeatKeyTooLarge||FORM,IG_LABS_RESULTS,2", id="a-gap"),
    ],
)
def test_a_group_that_cannot_be_used_fails_in_one_row(clinic, sent, row):
    assert clinic.send(labs(sent)) == [f"Item Group|Failed|errorCode.{row.replace('FORM', FORM)}"]


@pytest.mark.parametrize("key", ["0", "-1", "+1", "01"])
def test_zero_and_negative_repeats_are_not_refused(clinic, key):
    assert clinic.send(labs(results(key=key)))[0].endswith(f"{FORM},IG_LABS_RESULTS,{int(key)},I_LABS_TEST")


@pytest.mark.parametrize("key", [None, "", "5", "x"])
def test_a_group_that_does_not_repeat_ignores_its_key(clinic, key):
    assert clinic.send(labs(group(item(), key=key)))[0].endswith(f"{FORM},IG_LABS_MAIN,1,I_LABS_SAMPLE")


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_a_repeat_is_added_every_time(clinic, key):
    sent = labs(results(key=key), results(key=key))
    assert outcomes(clinic.send(sent) + clinic.send(sent)) == ["Item Data|Inserted"] * 4
    assert [value[3] for value in clinic.values()] == [1, 2, 3, 4]


# Step 5: items


def test_an_item_that_is_unknown_or_of_another_group_fails(clinic):
    assert clinic.send(labs(group(item(None), item("I_NONE"), item("I_LABS_TEST")))) == [
        f"Item Data|Failed|errorCode.itemNotFound||{FORM},IG_LABS_MAIN,1",
        f"Item Data|Failed|errorCode.itemNotFound||{FORM},IG_LABS_MAIN,1,I_NONE",
        f"Item Data|Failed|errorCode.itemGroupDoesNotContainItemData||{FORM},IG_LABS_MAIN,1,I_LABS_TEST",
    ]


def test_an_item_without_a_value_is_skipped(clinic):
    sent = labs(group(item(value=None)))
    assert clinic.send(sent) == [
        f"Item Data|Skipped|No item value present||{FORM},IG_LABS_MAIN,1,I_LABS_SAMPLE",
    ]


def test_another_value_updates_and_an_empty_one_clears(clinic):
    clinic.send(labs())
    assert outcomes(clinic.send(labs(group(item(value="A-2"))))) == ["Item Data|Updated"]
    assert outcomes(clinic.send(labs(group(item(value=""))))) == ["Item Data|Updated"]
    assert outcomes(clinic.send(labs(group(item(value=""))))) == ["Item Data|No Change"]
    assert clinic.values()[0][-1] == ""


def test_an_empty_value_fits_every_type(clinic):
    for oid in ("I_VITALS_PULSE", "I_VITALS_POSITION", "I_VITALS_DATE", "I_ECG_TRACE", "I_DEMOG_DIABETESSINCE"):
        assert outcomes(clinic.send(one(oid, ""))) == ["Item Data|Inserted"]


def test_the_same_item_twice_has_two_rows(clinic):
    assert outcomes(clinic.send(labs(group(item(), item())))) == ["Item Data|Inserted", "Item Data|No Change"]


@pytest.mark.parametrize(
    ("dialect", "length", "outcome"),
    [
        ("source", 3999, "Inserted"),
        ("source", 4000, "Failed|errorCode.valueTooLong"),
        ("docs", 4000, "Inserted"),
        ("docs", 4001, "Failed|errorCode.valueTooLong"),
    ],
)
def test_values_may_be_so_long(clinic, length, outcome):
    assert outcomes(clinic.send(labs(group(item(value="x" * length))))) == [f"Item Data|{outcome}"]


@pytest.mark.parametrize(
    ("oid", "value", "code"),
    [
        ("I_VITALS_PULSE", "72", ""),
        ("I_VITALS_PULSE", "+72", ""),
        ("I_VITALS_PULSE", "-0072", ""),
        ("I_VITALS_PULSE", "2147483647", ""),
        ("I_VITALS_PULSE", "2147483648", "valueTypeMismatch"),
        ("I_VITALS_PULSE", "72.0", "valueTypeMismatch"),
        ("I_VITALS_PULSE", " 72", "valueTypeMismatch"),
        ("I_VITALS_PULSE", "7_2", "valueTypeMismatch"),
        ("I_VITALS_WEIGHT", "80.5", ""),
        ("I_VITALS_WEIGHT", "-.5", ""),
        ("I_VITALS_WEIGHT", "80.", "valueTypeMismatch"),
        ("I_VITALS_WEIGHT", "+80", "valueTypeMismatch"),
        ("I_VITALS_WEIGHT", "8e1", "valueTypeMismatch"),
        ("I_VITALS_WEIGHT", "80,5", "valueTypeMismatch"),
        ("I_VITALS_DATE", "2025-03-01", ""),
        ("I_VITALS_DATE", "2025-02-31", ""),
        ("I_VITALS_DATE", "+12025-02-01", ""),
        ("I_VITALS_DATE", "0000-01-01", "invalidDateFormat"),
        ("I_VITALS_DATE", "2025-2-1", "invalidDateFormat"),
        ("I_VITALS_DATE", "2025/02/01", "invalidDateFormat"),
        ("I_VITALS_DATE", "2025-02-01 10:00", "invalidDateFormat"),
        ("I_VITALS_DATE", "2025-13-01", "invalidDateFormat"),
        ("I_VITALS_DATE", "2025-01-32", "invalidDateFormat"),
        ("I_VITALS_POSITION", "1", ""),
        ("I_VITALS_POSITION", "4", "valueChoiceCodeNotFound"),
        ("I_VITALS_POSITION", "1,2", ""),  # a piece of the joined list, as much as 1
        ("I_DEMOG_RISKS", "SMOK,FAM", ""),
        ("I_DEMOG_RISKS", "FAM", ""),
        ("I_DEMOG_RISKS", "SMOK,NONE", "valueChoiceCodeNotFound"),
        ("I_DEMOG_SEX", "f", "valueChoiceCodeNotFound"),
    ],
)
def test_a_value_has_to_fit_its_item(clinic, oid, value, code):
    outcome = f"Failed|errorCode.{code}" if code else "Inserted"
    assert outcomes(clinic.send(one(oid, value))) == [f"Item Data|{outcome}"]


def test_part_of_a_code_passes_for_a_choice(clinic):
    assert outcomes(clinic.send(labs(results(item("I_LABS_FLAG", "1"))))) == ["Item Data|Inserted"]  # 10, 11, 12, 20


@pytest.mark.parametrize(
    ("dialect", "oid", "value", "outcome"),
    [
        ("source", "I_ECG_TRACE", "trace.png", "Failed|errorCode.itemTypeNotSupportedInImport"),
        ("source", "I_DEMOG_DIABETESSINCE", "2011", "Failed|errorCode.itemTypeNotSupportedInImport"),
        ("docs", "I_ECG_TRACE", "trace.png", "Inserted"),
        ("docs", "I_DEMOG_DIABETESSINCE", "2011", "Inserted"),
        ("docs", "I_DEMOG_DIABETESSINCE", "2011-05", "Inserted"),
        ("docs", "I_DEMOG_DIABETESSINCE", "2011-05-30", "Inserted"),
        ("docs", "I_DEMOG_DIABETESSINCE", "May 2011", "Failed|errorCode.invalidDateFormat"),
    ],
)
def test_only_the_documented_servers_take_files_and_partial_dates(clinic, oid, value, outcome):
    assert outcomes(clinic.send(one(oid, value))) == [f"Item Data|{outcome}"]


def test_a_value_added_to_or_changed_in_a_complete_form_gets_a_reason(clinic):
    clinic.send(labs(Status="complete"))
    clinic.send(labs(group(item(value="A-2")), ReasonForChangeForCompleteForms="Typing error"))
    clinic.send(labs(group(item("I_LABS_COMMENT", "clear"))))
    assert clinic.states("notes", "type || ': ' || text") == [
        "Reason for Change: Typing error",
        "Reason for Change: Update via Import",
    ]


def test_a_change_takes_the_signatures_of_event_and_participant(clinic):
    clinic.send(labs())
    clinic.db.execute("UPDATE events SET signed = 1")
    clinic.db.execute("UPDATE participants SET status = 'SIGNED' WHERE participant_id = 'BOS-001'")
    clinic.send(labs())
    assert clinic.states("events", "signed") == [1]  # nothing changed
    clinic.send(labs(group(item(value="A-2"))))
    assert clinic.states("events", "signed") == [0]
    assert clinic.states("participants", "status")[0] == "AVAILABLE"


# Step 7: removal


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        pytest.param(group(item(), removed="Yes"), "Failed|errorCode.nonRepeatingGroupCannotBeRemoved", id="single"),
        pytest.param(results(removed="Yes"), "Failed|errorCode.firstRepeatingGroupCannotBeRemoved", id="first"),
        pytest.param(results(key="2", removed="Yes"), "itemGroup removed|", id="second"),
        pytest.param(results(removed="maybe"), "Failed|errorCode.itemGroupRemovedAttributeIsInvalid", id="no-answer"),
        pytest.param(results(removed=""), "Failed|errorCode.itemGroupRemovedAttributeIsInvalid", id="empty"),
    ],
)
def test_the_removal_of_a_group_has_a_row_after_its_items(clinic, sent, row):
    clinic.send(labs(results()))
    rows = clinic.send(labs(sent))
    assert rows[-1].startswith(f"Item Group|{row}")
    assert rows[-1].rsplit("|", 1)[1].startswith(f"{FORM},IG_LABS_")
    assert len(rows) == 2


def test_a_group_that_is_not_to_be_removed_has_no_row(clinic):
    assert outcomes(clinic.send(labs(results(removed="No")))) == ["Item Data|Inserted"]


def test_a_removed_repeat_sent_again_fails_the_job(clinic):
    clinic.send(labs(results(), results(key="2", removed="Yes")))
    assert [value[3] for value in clinic.values()] == [1]
    with pytest.raises(JobFailed):
        clinic.send(labs(results(key="2")))


def test_another_item_of_a_removed_repeat_is_stored_beside_the_failure(clinic):
    clinic.send(labs(results(), results(key="2", removed="Yes")))
    assert outcomes(clinic.send(labs(results(item("I_LABS_VALUE", "5.5"), key="2")))) == [
        "Item Group|Failed|errorCode.itemGroupIsAlreadyRemoved",
        "Item Data|Inserted",
    ]


# Numbers and dates


@given(st.integers(min_value=-(2**31), max_value=2**31 - 1))
def test_every_32_bit_number_is_read(number):
    assert read_int(str(number)) == number


def test_a_number_of_any_length_is_read_or_not():
    assert read_int("9" * 10_000) is None
    assert read_int("-" + "0" * 10_000 + "12") == -12


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_every_plain_decimal_is_a_real(number):
    assert is_real(f"{number:f}")


@given(st.dates())
def test_every_date_is_read_as_it_stands(date):
    assert is_date(date.isoformat())
    assert read_event_date(date.isoformat(), Dialect.SOURCE) == date.isoformat()


@given(st.text(max_size=12))
def test_no_text_breaks_the_readers(text):
    assert read_event_date(text, Dialect.DOCS) is None or is_date(text[:10]) or text.startswith("+")
    assert read_int(text) is None or text.strip("+-").isnumeric()

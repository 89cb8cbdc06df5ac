"""The catalogue of codes: whole, unambiguous, and in words."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica import errors
from airflow_provider_openclinica.client.code_table import CODES
from airflow_provider_openclinica.client.codes import look_up, meaning, reduced

#: As documented -> as in the source (docs/protocol.md, codes).
DOCUMENTED = {
    "missingStudyOID": "studyOidMissing",
    "studyOIDNotFound": "studyNotExist",
    "studyOIDNotAvailable": "studyNotAvailable",
    "noRoleSetup": "noRoleSetUp",
    "invalidSiteIdentifier": "siteNotExist",
    "participateNotEnabled": "participateInActive",
    "participantIDLongerThan30Characters": "participantIdTooLong",
    "mobileNumberTooLong": "phoneNumberTooLong",
    "invalidMobileNumber": "invalidPhoneNumber",
    "notSupportedFileFormat": "notCSVfile",
    "invalidStatus": "invalidEventStatus",
    "eventStatusTransitionNotAllowed": "invalidEventTransitionStatus",
    "eventStatusTransitionNotAvailable": "invalidEventTransitionStatus",
    "commonEventCannotBeScheduled": "commonEventsCannotBeScheduled",
    "CommonEventCannotBeScheduled": "commonEventsCannotBeScheduled",
    "errorCode.invalidUuid": "invalidUuid",
    "errorCode.jobInProgress": "jobInProgress",
}

#: What an import can answer, its jobs and their lists, and its log.
OF_AN_IMPORT = """
    fileFormatNotSupported invalidXMLFile studyOidMissing studyNotExist studyNotAvailable siteNotAvailable noRoleSetUp
    noSufficientPrivileges importFailed missingItemFile multipleFiles
    siteNotExist studyNotValidOid siteNotValidOid studyTositeNotValidOid
    invalidUuid jobInProgress noLogFileFound incorrectUserRole incorrectStudyOid incorrectSiteOid invalidStudyOidAsStudy
    invalidSiteOidAsSite mismatchUserRoleAndSite mismatchStudyOidAndSiteOid jobFailed incorrectUser jobDeleted
    subjectDataMissing subjectDoesNotContainStudyEventData missingParticipantID participantNotFound
    multipleParticipantsFound participantIdentiersMismatch
    eventDoesNotContainFormData missingStudyEventOID invalidStudyEventOID invalidStudyEventRepeatKey
    eventRepeatKeyTooLarge eventNotAvailable repeatKeyAndFormMismatch missingStartDate invalidStartDate invalidEndDate
    endDateBeforeStartDate
    formMissingStudyEventConstruct missingFormOid formOIDNotFound formLayoutOIDNotFound formLayoutOIDNotAvailable
    formStatusNotValid formNotAvailable
    itemGroupOIDNotFound invalidItemGroupRepeatKey groupRepeatKeyTooLarge itemGroupIsAlreadyRemoved
    nonRepeatingGroupCannotBeRemoved firstRepeatingGroupCannotBeRemoved itemGroupRemovedAttributeIsInvalid
    itemNotFound itemGroupDoesNotContainItemData valueTooLong valueTypeMismatch invalidDateFormat
    valueChoiceCodeNotFound itemTypeNotSupportedInImport
    missingDiscrepancyNoteType discrepancyNoteTypeNotValid missingChildNote annotationMustHaveOneChildNote
    discrepancyNoteIdTooLong discrepancyNoteIdIsRedundant existingNoteIdOnOtherItem noteIdAlreadyInUse
    errorGeneratingDiscrepancyNoteId missingDiscrepancyNoteStatus discrepancyNoteStatusNotValid
    queryStatusNotApplicable newQueryInBetweenOldQueries missingUserName userNotValid assignedUserNotValid
    detailedNoteMissing detailedNoteTextTooLong
    sdvStatusNotValid sdvStatusNotApplicable sdvStatusCannotBeUpdatedBecauseOfItemImportFailure
    formStatusShouldBeCompleteForSettingSdvVerifiedStatus formWithRemovedOrArchivedAttributeCannotBeSdvVerified
    cannotSignEventWithoutAttestation attestationIsMissing attestationTextTooLong eventIsNotEligibleToBeSigned
    signedStatusIsInvalid
"""


def test_no_spelling_stands_for_two_faults():
    spellings = Counter(reduced(spelling) for code in CODES for spelling in (code.name, *code.aliases))
    assert [spelling for spelling, times in spellings.items() if times > 1] == []


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_a_row_says_in_words_what_a_code_means(code):
    assert re.fullmatch(r"[A-Za-z].{8,}[^.\s]", code.meaning)
    assert code.name not in code.meaning
    assert code.next_step == "" or code.next_step.endswith(".")
    assert issubclass(code.error, errors.OpenClinicaError)
    assert code.error is not errors.OpenClinicaError


@pytest.mark.parametrize(("documented", "source"), DOCUMENTED.items())
def test_a_documented_spelling_is_the_code_of_the_source(documented, source):
    assert look_up(documented) is look_up(source) is not None
    assert look_up(source).name == source


@pytest.mark.parametrize("code", OF_AN_IMPORT.split())
def test_every_code_of_an_import_is_known(code):
    assert meaning(code)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_prefix_and_letter_case_do_not_matter(code):
    for spelling in (code.name, *code.aliases):
        for prefix in ("", "errorCode.", "error.", "errorcode.", "ERRORCODE."):
            assert look_up(prefix + spelling) is code
            assert look_up((prefix + spelling).swapcase()) is code


@pytest.mark.parametrize(
    "code", ["errorCode.missingItemFile.scan.png", "missingItemFile.Ann Lee", "errorCode.missingItemFile"]
)
def test_the_file_that_a_code_names_is_no_part_of_it(code):
    assert look_up(code).name == "missingItemFile"
    assert reduced(code) == "missingitemfile"


@given(st.text())
def test_a_code_that_nobody_knows_has_no_meaning(text):
    code = f"errorCode.{text}-of-tomorrow"
    assert look_up(code) is None
    assert meaning(code) == ""

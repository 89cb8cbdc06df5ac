"""The catalogue of OpenClinica's error codes: data only (docs/protocol.md, codes).

One row for each fault, under the name that the server's source has; the names that the vendor documents and those a
server declares for the same fault are aliases. ``codes`` finds rows by any spelling.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_openclinica.errors import (
    ConfigurationError,
    CredentialsError,
    FileError,
    JobFailedError,
    JobUnknownError,
    LogGoneError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RoleError,
    RowsFailedError,
    ServerUnavailableError,
)


@dataclass(frozen=True, slots=True)
class Code:
    """One fault.

    :param name: as the server's source spells it, without prefix.
    :param meaning: what it tells a data engineer, without full stop.
    :param error: what to raise where the code is the whole answer.
    :param aliases: other names of the same fault.
    :param next_step: replaces the error's own advice; ``""`` keeps it.
    """

    name: str
    meaning: str
    error: type[OpenClinicaError]
    aliases: tuple[str, ...] = ()
    next_step: str = ""


_SWITCH_STUDY = "Ask the data manager to open it; a study in design, frozen or locked takes no data."
_NEXT_KEY = "Repeat keys must follow each other without a gap: list what is there, and go on from its highest key."
_OTHER_ENDPOINT = "Set import_path in the connection to import/xml, or to import for a server of 2020."
_UPDATE_PACKAGE = "Update this package; if that does not help, report it with the code."
_ONE_HEADER = "Keep one column of that name."

CODES: tuple[Code, ...] = (
    # Study, site, roles
    Code(
        "studyNotExist",
        "no study has this OID",
        NotFoundError,
        ("studyOIDNotFound", "invalidStudyIdentifier", "incorrectStudyOid"),
    ),
    Code("studyOidMissing", "StudyOID is empty", FileError, ("missingStudyOID",)),
    Code("studyNotAvailable", "the study is not open", NotAvailableError, ("studyOIDNotAvailable",), _SWITCH_STUDY),
    Code(
        "studyNotValidOid",
        "the OID given for the study is that of a site, or of nothing",
        NotFoundError,
        ("invalidStudyOidAsStudy",),
    ),
    Code("siteNotExist", "no site has this OID", NotFoundError, ("invalidSiteIdentifier", "incorrectSiteOid")),
    Code("siteNotValidOid", "the OID given for the site is that of a study", NotFoundError, ("invalidSiteOidAsSite",)),
    Code("siteNotAvailable", "the site is not open", NotAvailableError, (), _SWITCH_STUDY),
    Code(
        "studyTositeNotValidOid",
        "the site belongs to another study",
        NotFoundError,
        ("mismatchStudyOidAndSiteOid", "invalidStudyAndSiteIdentifier"),
    ),
    Code("noRoleSetUp", "the account has no role in this study or site", RoleError),
    Code(
        "noSufficientPrivileges",
        "the account's role does not allow this, or the job belongs to another account",
        RoleError,
        ("incorrectUserRole", "mismatchUserRoleAndSite", "accessDenied"),
        "Ask the data manager for the role; a job's log is given only to the account that submitted it.",
    ),
    Code(
        "participateInActive",
        "the module Participate is off",
        NotAvailableError,
        ("participateNotEnabled", "participateModuleNotActive"),
    ),
    Code("invalidPageNumberParameter", "the page number is not a whole number from 1", ConfigurationError),
    Code("invalidPageSizeParameter", "the page size is not a whole number from 1", ConfigurationError),
    # Files
    Code("fileFormatNotSupported", "the file's name does not end in .xml, in lower case", FileError),
    Code(
        "invalidXMLFile",
        "the server cannot read the file as ODM: broken XML, another root than ODM, none or two ClinicalData, or "
        "elements that may stand once standing twice",
        FileError,
        ("xmlNotWellFormed",),
    ),
    Code("importFailed", "the import ran at once, for an internal account, and some rows failed", RowsFailedError),
    Code("blankFile", "the file is empty or was not sent", FileError, ("missingFile",)),
    Code("notCSVfile", "the file is not called .csv, or is none", FileError, ("notSupportedFileFormat",)),
    Code(
        "missingParticipantID",
        "no StudySubjectID (some servers do with a SubjectKey), or no column ParticipantID",
        FileError,
    ),
    Code("missingParticipantIdData", "the participant ID is empty, or the column ParticipantID is missing", FileError),
    Code("missingStudyEventOidData", "the column StudyEventOID is missing", FileError),
    Code("missingStartDateData", "the column StartDate is missing", FileError),
    Code("multipleParticipantIdHeaders", "two columns named ParticipantID", FileError, (), _ONE_HEADER),
    Code("multipleFirstNameHeaders", "two columns named FirstName", FileError, (), _ONE_HEADER),
    Code("multipleLastNameHeaders", "two columns named LastName", FileError, (), _ONE_HEADER),
    Code("multipleEmailAddressHeaders", "two columns named EmailAddress", FileError, (), _ONE_HEADER),
    Code("multipleMobilePhoneHeaders", "two columns named MobileNumber", FileError, (), _ONE_HEADER),
    Code("multipleStudyEventOidHeaders", "two columns named StudyEventOID", FileError, (), _ONE_HEADER),
    Code("multipleStudyEventRepeatKeyHeaders", "two columns named StudyEventRepeatKey", FileError, (), _ONE_HEADER),
    Code("multipleStartDateHeaders", "two columns named StartDate", FileError, (), _ONE_HEADER),
    Code("multipleEndDateHeaders", "two columns named EndDate", FileError, (), _ONE_HEADER),
    Code("multipleStudyEventStatusHeaders", "two columns named StudyEventStatus", FileError, (), _ONE_HEADER),
    Code("missingItemFile", "a file that an item names is not in the ZIP of attachments", FileError),
    Code("multipleFiles", "two files in the ZIP of attachments bear one name", FileError),
    Code("unableToReadFile", "the server cannot read the file", FileError),
    # Participants
    Code(
        "participantsEnrollmentCapReached",
        "the study has as many participants as it may have",
        NotAvailableError,
        (),
        "Ask the data manager to raise the expected enrolment.",
    ),
    Code(
        "participantIdTooLong",
        "the participant ID is longer than 30 characters",
        FileError,
        ("participantIDLongerThan30Characters",),
    ),
    Code("firstNameTooLong", "the first name is longer than 35 characters", FileError),
    Code("lastNameTooLong", "the last name is longer than 35 characters", FileError),
    Code("identifierTooLong", "the identifier is longer than 35 characters", FileError),
    Code("emailAddressTooLong", "the e-mail address is longer than 255 characters", FileError),
    Code("invalidEmailAddress", "the e-mail address is not spelled like one", FileError),
    Code("phoneNumberTooLong", "the phone number is longer than 17 characters", FileError, ("mobileNumberTooLong",)),
    Code(
        "invalidPhoneNumber",
        "the phone number is not written as +<country code>, one blank, up to 14 digits",
        FileError,
        ("invalidMobileNumber",),
    ),
    Code(
        "studyHasSystemGeneratedIdEnabled",
        "the study makes participant IDs itself and takes none from outside",
        NotAvailableError,
        ("bulkUploadNotSupportSystemGeneratedSetting",),
    ),
    Code("participantNotFound", "no active participant here has this SubjectKey or ID", NotFoundError),
    Code(
        "participantIDNotAvailable",
        "the participant is removed or locked, or there is none by this ID",
        NotAvailableError,
        ("participantNotAvailable",),
    ),
    Code("participantIDContainsUnsupportedHTMLCharacter", "the participant ID contains < or >", FileError),
    Code("participantIDAlreadyExists", "another participant has this ID", FileError, ("participantIDNotUnique",)),
    Code(
        "identityServerCallFailed",
        "the server that keeps participants' log-ins did not answer",
        ServerUnavailableError,
        ("auth0CallFailed",),
    ),
    Code("userNotFound", "the server that keeps log-ins does not know the account", CredentialsError),
    # Events
    Code("missingStudyEventOID", "StudyEventOID is missing", FileError),
    Code("invalidStudyEventOID", "no open event of this study has this StudyEventOID", NotFoundError),
    Code(
        "commonEventsCannotBeScheduled",
        "common events cannot be scheduled; importing their data creates them",
        FileError,
        ("commonEventCannotBeScheduled",),
    ),
    Code("missingStartDate", "the visit has to be created and has no StartDate", FileError, ("noStartDate",)),
    Code("invalidStartDate", "StartDate is no date of the form yyyy-mm-dd", FileError),
    Code("invalidEndDate", "EndDate is no date of the form yyyy-mm-dd", FileError),
    Code("endDateBeforeStartDate", "EndDate lies before StartDate", FileError, ("endDateIsBeforeStartDate",)),
    Code(
        "eventAlreadyExists", "the visit is there, and does not repeat", FileError, ("eventAlreadyExistsCan'tSchedule",)
    ),
    Code(
        "missingStudyEventRepeatKey",
        "StudyEventRepeatKey is missing, which an update needs",
        FileError,
        ("repeatKeyRequired", "eventRepeatKeyNotNull"),
    ),
    Code("invalidStudyEventRepeatKey", "StudyEventRepeatKey is no whole number", FileError, ("invalidRepeatKey",)),
    Code(
        "studyEventRepeatNotFound",
        "the participant has no occurrence of the event by this repeat key",
        NotFoundError,
        ("eventDoesNotExistsToUpdate",),
    ),
    Code("invalidEventStatus", "the event status is not known", FileError, ("invalidStatus", "eventStatusNotNull")),
    Code(
        "invalidEventTransitionStatus",
        "the event cannot go from its present status to this one",
        NotAvailableError,
        ("eventStatusTransitionNotAllowed", "eventStatusTransitionNotAvailable"),
        "Compare with the status that the event has: docs/protocol.md, events, tells what may follow what.",
    ),
    # Rows of an import: participants and events
    Code("subjectDataMissing", "the file names no participant at all", FileError),
    Code("subjectDoesNotContainStudyEventData", "the participant was sent without any event", FileError),
    Code("multipleParticipantsFound", "two sites have this ID; a SubjectKey would tell which", FileError),
    Code(
        "participantIdentiersMismatch",
        "SubjectKey and StudySubjectID are those of two different participants",
        FileError,
        ("participantIdentifiersMismatch",),
    ),
    Code("eventDoesNotContainFormData", "the event was sent without any form", FileError),
    Code(
        "eventRepeatKeyTooLarge",
        "StudyEventRepeatKey leaves a gap after the occurrences that are there",
        FileError,
        ("repeatKeyTooLarge",),
        _NEXT_KEY,
    ),
    Code("repeatKeyLargerThanOne", "the event does not repeat, so its key can only be 1", FileError),
    Code("eventNotAvailable", "the event is locked, removed, archived, skipped or stopped", NotAvailableError),
    Code("repeatKeyAndFormMismatch", "the occurrence by this repeat key holds another form", FileError),
    # Rows of an import: forms
    Code("formMissingStudyEventConstruct", "a common event takes one form for each StudyEventData", FileError),
    Code("missingFormOid", "FormOID is missing", FileError),
    Code("formOIDNotFound", "the event has no open form of this FormOID", NotFoundError, ("formNotFound",)),
    Code(
        "formLayoutOIDNotFound",
        "the form has no open version of this FormLayoutOID, or it is missing where the event needs it",
        NotFoundError,
        ("formLayOut",),
    ),
    Code("formLayoutOIDNotAvailable", "the event does not offer this version of the form", NotAvailableError),
    Code(
        "formStatusNotValid",
        "the form's status is neither 'initial data entry' nor 'complete'",
        FileError,
        ("statusAttributeIsInvalid",),
    ),
    Code("formNotAvailable", "the participant's form is removed or archived", NotAvailableError),
    Code("formAlreadyComplete", "the form is complete and takes no data", NotAvailableError),
    # Rows of an import: item groups and items
    Code(
        "itemGroupOIDNotFound",
        "the form has no open item group of this OID",
        NotFoundError,
        ("formDoesNotContainItemGroupData", "ItemGroupOIDValidationFailed"),
    ),
    Code("missingItemGroupOID", "ItemGroupOID is missing", FileError),
    Code("invalidItemGroupRepeatKey", "ItemGroupRepeatKey is no whole number", FileError, ("groupRepeatKeyNotValid",)),
    Code(
        "groupRepeatKeyTooLarge",
        "ItemGroupRepeatKey leaves a gap after the rows that are there",
        FileError,
        ("itemGroupRepeatKeyTooLarge",),
        _NEXT_KEY,
    ),
    Code("groupRepeatKeyLessThanOne", "ItemGroupRepeatKey is less than 1", FileError),
    Code("itemGroupIsAlreadyRemoved", "this repeat of the item group is removed", NotAvailableError),
    Code("nonRepeatingGroupCannotBeRemoved", "only a repeat can be removed; the group has none", FileError),
    Code("firstRepeatingGroupCannotBeRemoved", "the first repeat of an item group cannot be removed", FileError),
    Code("itemGroupRemovedAttributeIsInvalid", "Removed is neither Yes nor No", FileError),
    Code("itemNotFound", "the study has no open item of this ItemOID", NotFoundError, ("ItemOIDValidationFailed",)),
    Code("itemGroupDoesNotContainItemData", "the item belongs to another item group", FileError),
    Code("missingValue", "the item has no value", FileError),
    Code("valueTooLong", "the value is longer than the server stores", FileError),
    Code("valueTypeMismatch", "the value does not fit the item's data type", FileError, ("notInteger",)),
    Code("invalidDateFormat", "the value is no date of the form yyyy-mm-dd", FileError),
    Code("valueChoiceCodeNotFound", "the value is none of the item's choices; codes are sent, not labels", FileError),
    Code("itemTypeNotSupportedInImport", "this server imports no items of this type", NotAvailableError),
    # Rows of an import: queries and annotations
    Code("missingDiscrepancyNoteType", "a note has no NoteType", FileError),
    Code("discrepancyNoteTypeNotValid", "NoteType is neither Query nor Annotation", FileError),
    Code("missingChildNote", "a note has no ChildNote", FileError),
    Code("annotationMustHaveOneChildNote", "an annotation has more than one ChildNote", FileError),
    Code("discrepancyNoteIdTooLong", "the ID of a note is longer than 32 characters", FileError),
    Code("discrepancyNoteIdIsRedundant", "two notes bear one ID", FileError),
    Code("existingNoteIdOnOtherItem", "another item has a note of this ID", FileError),
    Code("noteIdAlreadyInUse", "the ID of a note is used by another note", FileError),
    Code("errorGeneratingDiscrepancyNoteId", "the server could not make an ID for a note", ServerUnavailableError),
    Code("missingDiscrepancyNoteStatus", "a ChildNote of a query has no Status", FileError),
    Code("discrepancyNoteStatusNotValid", "the Status of a ChildNote is none that OpenClinica knows", FileError),
    Code("queryStatusNotApplicable", "the Status of a ChildNote cannot follow the one before it", FileError),
    Code("newQueryInBetweenOldQueries", "a new ChildNote stands before one that is stored already", FileError),
    Code("missingUserName", "a note has no UserName", FileError),
    Code("userNotValid", "the UserName of a note is no active account here", FileError, ("InvalidUser",)),
    Code("assignedUserNotValid", "a query is assigned to no active account here", FileError),
    Code("detailedNoteMissing", "a note has no DetailedNote", FileError),
    Code("detailedNoteTextTooLong", "a DetailedNote is longer than 1000 characters", FileError),
    Code("importXMLcreateQueryFailed", "the server could not store a query", ServerUnavailableError),
    # Rows of an import: source data verification and signatures
    Code("sdvStatusNotValid", "SdvStatus is none that OpenClinica knows", FileError),
    Code("sdvStatusNotApplicable", "the form cannot go from its present SDV status to this one", FileError),
    Code("sdvStatusCannotBeUpdatedBecauseOfItemImportFailure", "rows of the form failed", FileError),
    Code("formStatusShouldBeCompleteForSettingSdvVerifiedStatus", "only a complete form can be verified", FileError),
    Code("formWithRemovedOrArchivedAttributeCannotBeSdvVerified", "the form is removed", NotAvailableError),
    Code("cannotSignEventWithoutAttestation", "the event was to be signed, and there is no Signature", FileError),
    Code("attestationIsMissing", "a Signature has no Attestation", FileError),
    Code("attestationTextTooLong", "an Attestation is longer than 1000 characters", FileError),
    Code("eventIsNotEligibleToBeSigned", "the event cannot be signed in its present state", NotAvailableError),
    Code("signedStatusIsInvalid", "Signed is neither Yes nor No", FileError),
    # Source data verification
    Code(
        "eventOrdinalIsIncorrect",
        "the occurrence is no whole number from 1",
        FileError,
        ("ordinalTooBig", "greaterThanMaxSampleOrdinal"),
    ),
    Code("eventOIDNotAvailableInThisStudy", "the study has no such event", NotFoundError),
    Code("participantDoesNotHaveThisEventInThisStudy", "the participant has no such event", NotFoundError),
    Code("formOIDNotAvailableInThisStudy", "the study has no such form", NotFoundError),
    Code("participantIdStudEventOIDAndFormOIDNotMatching", "the event has no such form", NotFoundError),
    Code("hasNoAccessToForm", "the account's role may not see this form", RoleError),
    Code("eventCrfIsNotInCompleted", "the form is not complete", NotAvailableError),
    # Jobs
    Code("invalidUuid", "there is no such job, or not in the account's active study", JobUnknownError),
    Code("jobInProgress", "the job has not ended", NotAvailableError, (), "Wait for it with OpenClinicaJobSensor."),
    Code("noLogFileFound", "the job has ended and there is no log to be had", LogGoneError),
    Code("incorrectUser", "the job belongs to another account", RoleError, (), "Use the account that submitted it."),
    Code("jobFailed", "the job failed", JobFailedError),
    Code("jobDeleted", "somebody deleted the job", JobUnknownError),
    Code("otherProcessInProgress", "the server is publishing the study", ServerUnavailableError),
    # The synchronous import and the tabular one, which this package never calls on purpose
    Code("notXMLfile", "the file's name does not end in .xml", FileError, (), _OTHER_ENDPOINT),
    Code("XmlRootTagisNotODM", "the root of the file is not ODM", FileError, (), _OTHER_ENDPOINT),
    Code("noParticipantIDinDataFile", "a participant has no ID", FileError),
    Code("ValidationFailed", "the file did not pass the server's checks", FileError, ("validation",)),
    Code("Exception", "the server could not read the file, or failed at it", FileError),
    Code("notCorrectFileNumber", "not exactly two files were sent: a mapping and its data", FileError),
    Code("noMappingfile", "the mapping file is missing", FileError, ("noMappingfileFound",)),
    Code("noFormOID", "the mapping file names no FormOID", FileError),
    Code("noStudyOID", "the mapping file names no StudyOID", FileError),
    Code("noStudyEventOID", "the mapping file names no StudyEventOID", FileError),
    Code("missingItemOrItemGroupOID", "the mapping file lacks the OID of an item or an item group", FileError),
    Code("ItemOrItemGroupOIDValidationFailed", "the mapping names an item or group that is not there", NotFoundError),
    Code("eventNotExist", "the study has no event of this OID", NotFoundError),
    Code("dataRowMissingPipe", "a row of the data file has no separator", FileError),
    Code("inconsistentHeaderAndDataColumns", "a row of the data file and the header differ in length", FileError),
    Code("NoItemDataFound", "a row of the data file holds no item", FileError),
    Code("participantIdHeaderNotMatchingMappingFile", "the data file lacks the mapped ID column", FileError),
    Code("invalidDelimiter", "the mapping file names a separator that is not one character", FileError),
    Code("logFile", "the server could not write its log", ServerUnavailableError),
    # Anywhere
    Code("concurrencyFailure", "two calls changed the same thing at once", ServerUnavailableError),
    Code("methodNotSupported", "the server does not offer the call", NotAvailableError, (), _UPDATE_PACKAGE),
    Code("internalServerError", "the server failed inside", ServerUnavailableError),
    Code("enketoClient", "the form server refused the server's call", ServerUnavailableError),
    Code("enketoServer", "the form server failed", ServerUnavailableError),
)

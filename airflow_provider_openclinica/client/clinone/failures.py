"""What a failed request to ClinOne means, by its status alone: the shape of its errors is not public."""

from __future__ import annotations

from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    CredentialsError,
    NotAvailableError,
    NotFoundError,
    OpenClinicaError,
    RateLimitError,
    RoleError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

LOOK = (
    "Look in ClinOne whether it was done. If not, clear the task, which sends it again. Where sending it twice does no "
    "harm, set repeatable."
)
_COMPARE = (
    "Compare method, path, query and body with the reference that ClinOne gave you; its answer is not quoted here."
)

#: What a status means: error class, meaning, next step ("" leaves the class's own).
_BY_STATUS: dict[int, tuple[type[OpenClinicaError], str, str]] = {
    401: (
        CredentialsError,
        "it does not accept the token, nor the one that replaced it",
        "Check that host, auth_url and scope in the connection belong to the same environment of ClinOne.",
    ),
    403: (
        RoleError,
        "the client may not do this",
        "An External Client is bound to studies, and its scopes are assigned by ClinOne's staff: have both looked at.",
    ),
    404: (NotFoundError, "nothing is at this path, or nothing for this client", _COMPARE),
    405: (NotAvailableError, "the path does not take this method", _COMPARE),
    410: (NotFoundError, "it is gone", _COMPARE),
    429: (RateLimitError, "too many calls in a short time", "Retry later, and call less often."),
    501: (NotAvailableError, "the server does not offer this", _COMPARE),
}


def failure_in(status: int, doing: str, *, repeatable: bool) -> OpenClinicaError:
    """Return the error that an answer is.

    :param status: its status; below 300 for a web page.
    :param doing: what was asked for, as a noun.
    :param repeatable: whether the request may arrive twice; else all but a refusal leaves open what it did.
    """
    refused = f"ClinOne refused {doing}"
    if status in _BY_STATUS:
        error, meaning, next_step = _BY_STATUS[status]
        return error(refused, status=status, meaning=meaning, next_step=next_step)
    if status >= 500 or status == 408:
        failed = f"ClinOne, or a gateway before it, failed at {doing}"
        if repeatable:
            return ServerUnavailableError(failed, status=status)
        return AmbiguousSubmitError(failed, status=status, next_step=LOOK)
    if status >= 400:
        return UnexpectedAnswerError(refused, status=status, next_step=_COMPARE)
    what = "sent us elsewhere, and nothing was followed" if status >= 300 else "answered with a web page"
    next_step = "Check that the connection's host is the base URL of the API."
    if repeatable:
        return UnexpectedAnswerError(f"ClinOne {what}", status=status, next_step=next_step)
    # A redirect is how many servers say that a form was taken.
    return AmbiguousSubmitError(f"ClinOne {what}", status=status, next_step=f"{next_step} {LOOK}")

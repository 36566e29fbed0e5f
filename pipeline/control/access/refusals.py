"""How somebody who is not recognised is told: RFC 6750's words, and nothing that helps to guess."""

from __future__ import annotations

from pipeline.control.problems import ApiError

REALM = 'Bearer realm="rayline"'


class BadCredential(ApiError):
    """What was sent was never good: counted against the address it came from, for it may be guessing."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, _challenge("invalid_token", detail))


def nobody() -> ApiError:
    """Nothing was sent that would tell who asks."""
    detail = "send a token or key as `Authorization: Bearer ...`; `rayline token make` makes keys"
    return ApiError(401, detail, {"WWW-Authenticate": REALM})


def refused(detail: str) -> ApiError:
    """It was rightly made and does not hold here or now: its bearer is told why, and not taken for a stranger."""
    return ApiError(401, detail, _challenge("invalid_token", detail))


def misread(detail: str) -> ApiError:
    """It was sent in a way that is not taken."""
    return ApiError(400, detail, _challenge("invalid_request", detail))


def _challenge(error: str, detail: str) -> dict[str, str]:
    told = "".join(sign if " " <= sign <= "~" and sign not in '"\\' else "'" for sign in detail)
    return {"WWW-Authenticate": f'{REALM}, error="{error}", error_description="{told}"'}

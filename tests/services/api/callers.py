"""Who calls, said by the test: what the API lets in without a token of any kind."""

from collections.abc import Collection

from starlette.requests import HTTPConnection

from pipeline.control.access.roles import Principal, Role


class Always:
    """Authenticator that recognises everybody as one and the same."""

    def __init__(self, role: Role, lines: Collection[str] = ("*",), name: str = "anna") -> None:
        self._principal = Principal(name, role, frozenset(lines), "key")

    async def principal(self, connection: HTTPConnection) -> Principal:
        """See Authenticator."""
        return self._principal

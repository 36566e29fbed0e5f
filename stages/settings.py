"""The base of every settings class: frozen, and a typo is an error."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Values that are set once and passed on; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

"""The bodies of the routes about a workspace itself: its settings and its cached answers.

Bounds are those of `runtime.settings`, which a workspace's own settings take the place of.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from runtime.messages import WorkspaceSettings
from runtime.settings import Settings

SettingName = Literal[
    "cache_enabled",
    "cache_ttl_seconds",
    "cache_similarity",
    "cache_max_entries",
    "rate_limit_per_hour",
    "rate_limit_per_user_per_hour",
]
MAX_QUESTIONS_PER_HOUR = 1_000_000
_NOT_ENFORCED = "0 is no limit. It is kept, and not enforced yet."


class SettingsPatch(BaseModel):
    """What to change. A field that is absent stays; null goes back to the configuration's value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache_enabled: StrictBool | None = Field(None, description="May an earlier answer serve?")
    cache_ttl_seconds: StrictInt | None = Field(
        None, ge=1, le=604_800, description="How long an answer may serve again; for new answers."
    )
    cache_similarity: StrictFloat | None = Field(
        None,
        ge=0.5,
        le=1,
        allow_inf_nan=False,
        description="How alike two questions must be to share an answer, 1 being the same words.",
    )
    cache_max_entries: StrictInt | None = Field(
        None, ge=1, le=10_000, description="How many answers are kept."
    )
    rate_limit_per_hour: StrictInt | None = Field(
        None, ge=0, le=MAX_QUESTIONS_PER_HOUR, description=f"Questions of all; {_NOT_ENFORCED}"
    )
    rate_limit_per_user_per_hour: StrictInt | None = Field(
        None, ge=0, le=MAX_QUESTIONS_PER_HOUR, description=f"Questions of each; {_NOT_ENFORCED}"
    )

    def changes(self) -> dict[str, bool | int | float | None]:
        """Return the fields that the body names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class SettingsBody(BaseModel):
    """The settings as they apply to this workspace; the rate limits are not enforced yet."""

    model_config = ConfigDict(frozen=True)

    cache_enabled: bool
    cache_ttl_seconds: int = Field(examples=[3600])
    cache_similarity: float = Field(examples=[0.95])
    cache_max_entries: int = Field(examples=[100])
    rate_limit_per_hour: int = Field(
        description=f"Questions of all; {_NOT_ENFORCED}", examples=[30]
    )
    rate_limit_per_user_per_hour: int = Field(
        description=f"Questions of each; {_NOT_ENFORCED}", examples=[0]
    )
    set_here: list[SettingName] = Field(
        description="Those that this workspace has set; the others are the configuration's.",
        examples=[["cache_ttl_seconds"]],
    )

    @classmethod
    def of(cls, own: WorkspaceSettings, settings: Settings) -> Self:
        """Return the body that shows a workspace's settings over the configuration's."""
        values: dict[SettingName, bool | int | float] = {
            "cache_enabled": settings.cache_enabled,
            "cache_ttl_seconds": settings.cache_ttl_s,
            "cache_similarity": settings.cache_similarity,
            "cache_max_entries": settings.cache_max_entries,
            "rate_limit_per_hour": settings.rate_limit_per_hour,
            "rate_limit_per_user_per_hour": settings.rate_limit_per_user_per_hour,
        }
        names: tuple[SettingName, ...] = get_args(SettingName)
        set_here = [name for name in names if getattr(own, name) is not None]
        shown = values | {name: getattr(own, name) for name in set_here}
        return cls(**shown, set_here=set_here)


class FlushedBody(BaseModel):
    """The cached answers are gone."""

    model_config = ConfigDict(frozen=True)

    status: Literal["flushed"] = "flushed"
    entries: int = Field(description="How many there were.", examples=[12])

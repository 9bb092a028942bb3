"""The drop-downs of the forms: what lies in the content folders when the deployments are made."""

from enum import StrEnum
from typing import TYPE_CHECKING

from passaparola.contacts import audience
from passaparola.journeys import campaign
from passaparola.settings import get_settings

if TYPE_CHECKING:

    class CampaignName(StrEnum):
        """One of the files in campaigns/."""

    class AudienceName(StrEnum):
        """One of the files in audiences/."""

else:

    def _choices(name: str, values: list[str]) -> type[StrEnum]:
        return StrEnum(name, {value: value for value in values or ["none_yet"]})

    CampaignName = _choices("CampaignName", campaign.campaign_names(get_settings().home))
    AudienceName = _choices("AudienceName", audience.audience_names(get_settings().home))

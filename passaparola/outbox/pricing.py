"""What messages cost: as the house says it (COST_PER_MESSAGE), else as the provider's list does, each in its own
currency."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from passaparola.channel.sender import Sender, Skeleton
from passaparola.settings import Settings

LISTED_IN = "USD"  # the currency of the providers' lists


@dataclass
class Costs:
    """Sums by currency."""

    sums: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, settings: Settings, medium: str, channel: type[Sender], skeleton: Skeleton, count: int) -> None:
        house_price = settings.message_costs.get(medium)
        if house_price is not None:
            self.sums[settings.currency] += Decimal(str(house_price)) * count
        elif price := channel.price(skeleton):
            self.sums[LISTED_IN] += price * count

    def as_json(self) -> dict[str, str]:
        return {currency: str(amount) for currency, amount in self.sums.items()}

    def __str__(self) -> str:
        return " and ".join(f"{amount:,.2f} {currency}" for currency, amount in self.sums.items()) or "nothing"

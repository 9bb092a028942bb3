"""The door of the follow-up: a process that ticks every half second, started by `passaparola up` or a service of its own.

python -m passaparola.cli.consumer
"""

from passaparola import engine
from passaparola.operations import logs
from passaparola.operations.consumer import Consumer
from passaparola.operations.stack import spoken
from passaparola.outbox.deliver import swiftly
from passaparola.settings import settings
from passaparola.store.database import Store


def main() -> None:
    """Follow up until SIGTERM."""
    logs.speak()
    own = settings()
    store = Store(own.database).open()

    async def run() -> None:
        await Consumer(store, own, engine.decide).run()

    swiftly(run())


if __name__ == "__main__":
    spoken(main)

"""The door of the follow-up: a process that ticks every half second, started by `passaparola up` or a service of its
own.

python -m passaparola.cli.consumer
"""

from passaparola import engine
from passaparola.operations import logs
from passaparola.operations.commands import run_command
from passaparola.operations.consumer import Consumer
from passaparola.outbox.deliver import run_on_uvloop
from passaparola.settings import get_settings
from passaparola.store.database import Store


def main() -> None:
    """Follow up until SIGTERM."""
    logs.configure_logging()
    settings = get_settings()
    store = Store(settings.database).open()

    async def run() -> None:
        await Consumer(store, settings, engine.tick).run()

    run_on_uvloop(run())


if __name__ == "__main__":
    run_command(main)

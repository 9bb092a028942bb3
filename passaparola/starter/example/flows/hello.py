"""Button: an example of a flow of your own. `passaparola up` deploys it (prefect.yaml); it only reads."""

from prefect import flow, get_run_logger
from sqlalchemy import func, select

from passaparola.settings import get_settings
from passaparola.store.database import Store
from passaparola.store.models import Contact


@flow(name="hello")
async def hello(name: str = "world") -> None:
    """Greet somebody, and say how many contacts there are.

    Args:
        name: Whom to greet.
    """
    store = Store(get_settings().database).open()
    with store.read() as session:
        contacts = session.execute(select(func.count()).select_from(Contact)).scalar_one()
    get_run_logger().info("Hello, %s: %s contacts are in the store.", name, contacts)

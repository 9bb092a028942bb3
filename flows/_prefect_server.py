"""Prefect's own server, for its own hosts: whatever other name leads to this machine is turned away.

Its settings come from the environment (operations/stack.py): a password for the API and for the browsers' pages
that may ask it. Prefect itself answers to any Host, so that a page of a stranger whose name is made to lead here
(DNS rebinding) could speak to it.

python -m passaparola.flows._prefect_server --port 4200
"""

import argparse

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from passaparola.operations.prefect_settings import LOCAL_HOSTS


def main() -> None:
    parser = argparse.ArgumentParser(description="Prefect's server, for this machine alone.")
    parser.add_argument("--port", type=int, default=4200)
    port = parser.parse_args().port
    from prefect.server.api.server import create_app

    app = TrustedHostMiddleware(create_app(final=True), allowed_hosts=LOCAL_HOSTS)
    # As `prefect server start` runs it.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        timeout_keep_alive=5,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        log_level="warning",
    )


if __name__ == "__main__":
    main()

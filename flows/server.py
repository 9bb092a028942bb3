"""Prefect's own server, for its own hosts: whatever other name leads to this machine is turned away.

Its settings come from the environment (flows/up.py): a password for the API and for the browsers' pages that may ask it.
Prefect itself answers to any Host, so that a page of a stranger whose name is made to lead here (DNS rebinding) could speak to it.

python -m flows.server --port 4200
"""

import argparse

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from settings import Settings

HOSTS = ["127.0.0.1", "localhost"]


def environment(own: Settings, port: int, password: str, database: str) -> dict[str, str]:
    """The settings of the server and of whoever asks it."""
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(own.var / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_API_AUTH_STRING": password,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}:{port}" for host in HOSTS),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY": "true",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Prefect's server, for this machine alone.")
    parser.add_argument("--port", type=int, default=4200)
    port = parser.parse_args().port
    from prefect.server.api.server import create_app

    app = TrustedHostMiddleware(create_app(final=True), allowed_hosts=HOSTS)
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

"""The settings of Prefect's server and of whoever asks it."""

import hashlib
import tempfile
from pathlib import Path

from passaparola.settings import Settings

LOCAL_HOSTS = ["127.0.0.1", "localhost"]


def prefect_environment(settings: Settings, port: int, password: str, database: str) -> dict[str, str]:
    """Return the settings of Prefect's server and of its clients."""
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(settings.var / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_API_AUTH_STRING": password,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}:{port}" for host in LOCAL_HOSTS),
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


def prefect_files(settings: Settings) -> Path:
    """Choose a folder for Prefect's database. Not under the home: as root the wheel gives the files to a user who
    may not read there."""
    return Path(tempfile.gettempdir()) / f"passaparola-{hashlib.sha256(str(settings.var).encode()).hexdigest()[:12]}"

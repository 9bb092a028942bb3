"""Running it: health, doctor, watchdog, polling, alerts, logs and the processes of one installation."""

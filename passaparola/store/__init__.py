"""The one database: tables, migrations, transactions, bulk writes and the audit chain."""

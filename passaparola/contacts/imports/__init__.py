"""Files of people into the store: tables read, columns recognised, rows understood, chunks written."""

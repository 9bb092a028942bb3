"""Import of people from files: tables read, columns recognised, rows parsed, chunks written."""

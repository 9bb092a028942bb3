"""What people say to us: understood, put in a thread, given a response clock."""

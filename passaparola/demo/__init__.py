"""A small shop at work: filled, sending, and with customers who come back."""

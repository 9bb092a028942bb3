"""The contract of channels: what a sender and a receiver must be able to do, and what they share."""

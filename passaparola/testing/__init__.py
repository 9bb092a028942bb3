"""What tests of campaigns use: the pytest plugin and its cast."""

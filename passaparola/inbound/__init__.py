"""Inbound: verify → store → parse → identify → record → react, each stage a function of values in a module of its
own."""

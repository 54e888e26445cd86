"""The kill rig: many clients in one thread, a server that is killed, and a ledger that judges.

`link` is one socket, `client` a session that outlives it, `publisher` and `subscriber` are the
two kinds of it, `ledger` knows what was said, acknowledged and heard, and `rig` runs the rounds.
"""

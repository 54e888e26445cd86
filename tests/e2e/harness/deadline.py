"""Time limits. Nothing in this suite waits without one, and nothing waits by sleeping."""

import os
import time

#: Seconds that an answer from the server may take before a test fails. Generous, because the
#: machine may be busy; a healthy run never gets near it.
PATIENCE = float(os.environ.get("MQTT_E2E_PATIENCE", "15"))


class Deadline:
    """A point in time, and how far away it still is."""

    def __init__(self, seconds=PATIENCE):
        self._end = time.monotonic() + seconds

    def left(self):
        """Seconds left, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def passed(self):
        return self.left() == 0.0

"""What was decided, in the order of the decisions, among what else happened."""

from __future__ import annotations

from sensord.core.alert import Transition
from sensord.core.cases.case import CaseEvent
from sensord.core.cases.notification import Hold, Notification
from sensord.core.failure import Failures

Happened = Transition | CaseEvent | Notification | Hold


class Decisions:
    """Notifications and holds, in the order of the decisions; ``told`` holds both, among what else happened.

    ``failures`` are those of the story: somebody was to be told, and the message could not be made.
    """

    def __init__(self, told: list[Happened], failures: Failures) -> None:
        self._told, self.failures = told, failures
        self.notifications: list[Notification] = []
        self.holds: list[Hold] = []

    def notify(self, message: Notification) -> None:
        """Somebody is told."""
        self.notifications.append(message)
        self._told.append(message)

    def hold(self, *held: Hold) -> None:
        """Somebody is not told."""
        self.holds += held
        self._told += held

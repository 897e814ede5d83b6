"""Who is inside one compound, whom those may be read as when they leave, and how sure that is. Pure."""

from __future__ import annotations

import math
from statistics import median

from sensord.core.vehicles.nearby import Nearby
from sensord.core.vehicles.passage import Passage, Read
from sensord.core.vehicles.visit import Visit

WEEK = 7
"""Of so many days it is known how many passages were found missing."""
USUAL = 3
"""From so many days on there is a usual number of them."""


class Compound:
    """Who is inside one compound: ``visits`` by pseudonym, in order of entry.

    ``_twins`` finds those that name a vehicle as their twin, ``_kin`` those that may be read under a name, and
    ``_nearby`` those whose plate was read, when they came, with one character other than in another. Most vehicles
    leave under the plate under which they came, and nobody looks for them: the latter two hold those only that were
    inside when somebody did, and these are the first in ``visits``.

    ``anonymous`` is unread entries less unread exits, of which ``carried`` are those of earlier days (the oldest
    first), ``missed`` how many passages were found missing since the night, ``lacking`` how many on earlier days,
    ``doubtful`` how many visits may be over, and ``spread`` by how many ``inside`` may be wrong for passages that are
    missing and not found yet.

    At ``counted_at`` (0: never) somebody has counted who is inside: ``counted`` more than were known to be (fewer, when
    it is below zero: as many of the visits of then were over). ``fresh``: no night has been since then.
    """

    def __init__(self, parking: int | None) -> None:
        self.parking = parking
        self.visits: dict[int, Visit] = {}
        self._twins: dict[int, list[int]] = {}
        self._kin: dict[int, list[int]] = {}
        self._nearby = Nearby()
        self.anonymous = self.missed = self.doubtful = self.spread = self.counted = self.counted_at = 0
        self.fresh = False
        self.carried: list[int] = []
        self.lacking: list[int] = []

    def add(self, token: int, visit: Visit, twin: int = 0) -> None:
        """Let a vehicle in that is not inside; ``twin`` (0: nobody) came at the same moment, if it is another one."""
        self.visits[token] = visit
        if visit.doubted:
            self.doubtful += 1
        for one in visit.twins:
            self._twins.setdefault(one, []).append(token)
        if twin:
            self._pair(token, twin)
            self._pair(twin, token)

    def remove(self, token: int) -> Visit | None:
        """Let a vehicle out; None when it is not inside."""
        visit = self.visits.pop(token, None)
        if visit is not None:
            if visit.doubted:
                self.doubtful -= 1
            if token in self._nearby.names:
                self._lose(token, visit)
            for twin in visit.twins:
                self._twins[twin].remove(token)
                if not self._twins[twin]:
                    del self._twins[twin]
        return visit

    def _find(self) -> None:
        """Put everyone inside where ``_kin`` and ``_nearby`` find them."""
        for token, visit in reversed(self.visits.items()):
            if token in self._nearby.names:
                return
            self._nearby.put(token, visit.read.early, visit.read.late)
            for kin in visit.kin:
                self._kin.setdefault(kin, []).append(token)

    def _lose(self, token: int, visit: Visit) -> None:
        """Take somebody away from there."""
        self._nearby.drop(token)
        for kin in visit.kin:
            self._kin[kin].remove(token)
            if not self._kin[kin]:
                del self._kin[kin]

    def show(self, token: int, read: Read, certainty: int) -> None:
        """Another reading of its entry shows a vehicle inside better."""
        visit = self.visits[token]
        visit.read, visit.certainty = read, certainty
        if token in self._nearby.names:
            self._nearby.put(token, read.early, read.late)

    def relate(self, token: int, kin: list[int]) -> None:
        """Note under what else a vehicle inside may be read."""
        visit = self.visits.get(token)
        if visit is not None:
            new = [one for one in dict.fromkeys(kin) if one not in visit.kin]
            visit.kin += new
            if token in self._nearby.names:
                for one in new:
                    self._kin.setdefault(one, []).append(token)

    def _pair(self, token: int, twin: int) -> None:
        """Note of one inside that it may be another that came at the same moment."""
        visit = self.visits.get(token)
        if visit is not None:
            visit.twins = (*visit.twins, twin)
            self._twins.setdefault(twin, []).append(token)

    def rename_twin(self, former: int, token: int) -> None:
        """Who was known under one pseudonym is known under another: whoever may be that vehicle names it so.

        Nobody is a twin of itself: two that turn out to be one vehicle are none.
        """
        for one in self._twins.pop(former, ()):
            twins = self.visits[one].twins
            self.visits[one].twins = tuple(twin for twin in twins if twin != former)
            if one != token:
                self._pair(one, token)

    def rename_kin(self, former: int, token: int) -> None:
        """As ``rename_twin``, of those that may be read under that pseudonym when they leave."""
        self._find()
        for one in self._kin.pop(former, ()):
            visit = self.visits[one]
            visit.kin = [token if kin == former else kin for kin in visit.kin]
            self._kin.setdefault(token, []).append(one)

    def pair_all(self, token: int, passage: Passage, settle: int) -> None:
        """The vehicle that leaves now came as ``token``, misread: find what else it was read as, within ``settle``."""
        self._find()
        read, came = passage.kept[0], self.visits[token]
        for other in self._nearby.near(read.early, read.late):
            visit = self.visits[other]
            near = visit.stranger and other != token and abs(visit.entered_at - came.entered_at) <= settle
            if near and visit.read.device == came.read.device:
                self._pair(other, token)
                self._pair(other, read.token)

    def who(self, passage: Passage) -> int:
        """The vehicle inside that a passage shows: itself, or one that may have been misread; else itself."""
        visits = self.visits
        for read in passage.kept:
            if read.token in visits:
                return read.token
        self._find()
        for read in passage.kept:
            relatives = self._kin.get(read.token) or self._kin.get(read.family)
            if read.token and relatives:
                return min(relatives)  # not the first that came: a restart would not know which that was
        return self._near(passage) or passage.kept[0].token

    def _near(self, passage: Passage) -> int:
        """A vehicle inside, never seen before it came, whose plate is one character from this one's; 0: none."""
        return min((token for token in self._neighbours(passage) if self.visits[token].stranger), default=0)

    def only_near(self, passage: Passage) -> int:
        """The one vehicle inside whose plate is one character from this one's; 0: there is none, or more than one."""
        near = [token for token in self._neighbours(passage) if self.visits[token].entered_at < passage.first_at]
        return near[0] if len(near) == 1 else 0

    def _neighbours(self, passage: Passage) -> set[int]:
        """The vehicles inside of which the plate is one character from one of a passage's readings."""
        self._find()
        read = [(one.early, one.late) for one in passage.kept if one.early or one.late]
        return set[int]().union(*(self._nearby.near(*one) for one in read))

    # -- how sure that is ----------------------------------------------------------------------------------------------

    def lack(self, passages: int) -> None:
        """So many more passages are found missing; -1: one is found after all."""
        self.missed += passages
        self._weigh()

    def doubt(self, visit: Visit, *, doubted: bool) -> None:
        """Say of a visit whether it may be over."""
        self.doubtful += doubted - visit.doubted
        visit.doubted = doubted

    def _weigh(self) -> None:
        """Find the spread anew.

        Each passage that is missing and not found yet makes the number wrong by one, this way or the other; they are
        found within a day or so, so there are about as many as a day brings to light, and as many independent steps
        of one lead as far astray as the root of their number. More than twice the usual number, or when nothing is
        usual yet, is no chance: we have just begun to look, or a camera did not. That counts in full. Until the night
        after somebody has counted it is what was found missing since.
        """
        known = [] if self.fresh else self.lacking
        usual = median(known) if len(known) >= USUAL else 0.0
        lately = max(self.missed, *known[-1:], 0)
        excess = max(lately - 2 * usual, 0.0)
        self.spread = math.ceil(math.sqrt(usual) + excess)

    def night(self, days: int) -> None:
        """A day is over. Unread entries and exits that nothing has explained for ``days`` are not counted any more."""
        self.lacking = [*self.lacking[1 - WEEK :], self.missed]
        self.missed, self.fresh = 0, False
        self._weigh()
        self._carry(days)

    def _carry(self, days: int) -> None:
        """Add the day's unread passages to those carried over; what they are fewer by, the oldest are.

        An unread exit that nothing explains was that of somebody who was counted by hand, if any such is still here.
        """
        today, carried = self.anonymous - sum(self.carried), self.carried
        for index, past in enumerate(carried):
            if past * today < 0:
                met = min(abs(past), abs(today)) * (1 if today > 0 else -1)
                carried[index] += met
                today -= met
        whole = [*carried, today]
        self.carried, unexplained = whole[-days:], -sum(whole[:-days])
        self.anonymous = sum(self.carried)
        self.counted -= min(max(unexplained, 0), max(self.counted, 0))

    def missed_exit(self, visit: Visit, at: int) -> None:
        """The exit that ended a visit by ``at`` was missed.

        It may have been before somebody counted, who has left it out then; or, when an unread one was counted, that.
        """
        if self._was_left_out(visit, at):
            self.counted += 1
        elif self.anonymous < 0:
            self.anonymous += 1
        else:
            self.lack(1)

    def missed_entry(self) -> None:
        """An entry was missed: an unread one, or, when somebody counted, whoever was there and had not been seen."""
        if self.anonymous > 0:
            self.anonymous -= 1
        elif self.counted > 0:
            self.counted -= 1
        else:
            self.lack(1)

    def came_back(self) -> None:
        """The exit that was thought to be missed did not happen."""
        if self.missed:
            self.lack(-1)
        else:
            self.anonymous -= 1

    # -- counted by hand -----------------------------------------------------------------------------------------------

    def count(self, vehicles: int, at: int) -> None:
        """Somebody has counted who is inside at ``at`` (ns): that is so, for sure. Who is known to be, stays known."""
        self.counted, self.counted_at, self.fresh = vehicles - len(self.visits), at, True
        self.anonymous, self.missed, self.carried = 0, 0, []
        for visit in self.visits.values():
            self.doubt(visit, doubted=False)
        self._weigh()

    def _was_left_out(self, visit: Visit, at: int) -> bool:
        """Whether a visit that was over by ``at``, its exit unseen, was so when somebody counted.

        That is so where some must have been; else where more of the time in which it may have ended lies before.
        """
        before = self.counted_at - visit.entered_at
        return before > 0 and (self.counted < 0 or before > at - self.counted_at)

    def settle(self, balance: int | None) -> None:
        """A passage was taken. Of before somebody counted it changes who is known, and not how many: the ``balance``.

        No more of the visits of then can be over than there still are: where more would be, the count was too low.
        """
        if balance is not None:
            self.counted += balance - self.balance
        if self.counted < 0:
            self.counted = max(self.counted, -sum(one.entered_at < self.counted_at for one in self.visits.values()))

    def lapse(self, before: int) -> None:
        """What was counted before that instant (ns) is past remembering: who has not moved since is in no number."""
        if self.counted_at < before:
            self.counted = self.counted_at = 0

    @property
    def amounts(self) -> tuple[int, int, int, int, int]:
        """What ``inside`` and ``unsure`` are made of: who is known, anonymous, counted, doubtful, and the spread."""
        return len(self.visits), self.anonymous, self.counted, self.doubtful, self.spread

    @property
    def balance(self) -> int:
        """How many vehicles are inside, as it was counted; below zero: somebody came unseen."""
        return len(self.visits) + self.anonymous + self.counted

    @property
    def inside(self) -> int:
        """How many vehicles are inside."""
        return max(self.balance, 0)

    @property
    def unsure(self) -> int:
        """By how many ``inside`` may be wrong."""
        return abs(self.anonymous) + self.doubtful + self.spread

"""The numbers of all limits: a table, with the reason beside each row. They are counted in `throttle`."""

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` uses in any `seconds`."""

    limit: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Brake:
    """Instead of a refusal: a gap since the last use, twice as long after each use that had to keep one.

    first, longest: of the gap, in seconds. memory: seconds until a doubling is forgotten.
    """

    first: float
    longest: float
    memory: float

    def gap(self, doublings: int) -> float:
        return min(self.first * 2.0 ** min(doublings, 64), self.longest)


@dataclass(frozen=True, slots=True)
class Rule:
    """name: the namespace of its keys. brake: what a full window means; None = it refuses."""

    name: str
    windows: tuple[Window, ...]
    brake: Brake | None = None

    def life(self, slowed: bool) -> float:
        """Seconds for which a use matters."""
        return self.brake.memory if self.brake and slowed else max(window.seconds for window in self.windows)


# One IPv6 /64 or IPv4 address: many guesses at many accounts. An office behind one address does not mistype as often.
NETWORK = Rule("network", (Window(30, MINUTE),))
# All networks of one IPv6 site: it has 65,536, and each guess at an invented name takes room here.
SITE = Rule("site", (Window(300, MINUTE),))
# One network at one account: five is a person who mistypes; twenty an hour stops one who waits for the minute.
PAIR = Rule("pair", (Window(5, MINUTE), Window(20, HOUR)))
# Many networks at one account. No lock, which would be a weapon. One second doubles to 15 minutes in ten failures;
# there it has to stay while they go on, so doublings are kept for more than 10 * 15 minutes: 96 guesses a day.
ACCOUNT = Rule("account", (Window(10, 15 * MINUTE),), Brake(first=1.0, longest=15 * MINUTE, memory=4 * HOUR))
# A mailbox is not to be flooded. By key, known or not, so that the limit tells nobody who has an account.
MAIL_ADDRESS = Rule("mail-address", (Window(3, 15 * MINUTE),))
# One sender, many mailboxes.
MAIL_NETWORK = Rule("mail-network", (Window(10, HOUR),))
# Many senders: what the mail server's good name bears.
MAIL_ALL = Rule("mail-all", (Window(100, HOUR),))
# One IPv6 site: its 65,536 networks must not use up what all mails share, nor fill the store.
MAIL_SITE = Rule("mail-site", (Window(30, HOUR),))
REGISTRATION_SITE = Rule("registration-site", (Window(20, HOUR),))
# What a logged-in person makes and is told of by mail: strings that stay, and mails that others wait behind.
MADE = Rule("made", (Window(30, MINUTE), Window(200, HOUR)))
# Accounts are rows that stay; a household needs a few.
REGISTRATION = Rule("registration", (Window(5, HOUR),))
# Links that are of no use any more: each asks the store. They have 256 bits, so to guess one is hopeless, and it is not
# counted with guesses at passwords: a mail program that opens an old link over and over keeps nobody from logging in.
OPENED = Rule("opened", (Window(30, MINUTE),))
OPENED_SITE = Rule("opened-site", (Window(300, MINUTE),))
# A client that waits for somebody to read a mail.
POLL = Rule("poll", (Window(1, 1.0),))

LONGEST_LIFE = 4 * HOUR  # of a use, by any rule: the brake's memory
MAX_KEYS = 100_000  # 60 MB when each has one use
SPARE_KEYS = 10_000  # of these, only for networks that an account is known on: a flood of others does not reach them
FULL_WAIT = MINUTE  # seconds; by then every key of NETWORK is dead
SWEEP = 64  # dead keys dropped at a time: under a millisecond
KNOWN_FOR = 30 * DAY  # since the last login there
KNOWN_NETWORKS = 4  # of one account: home, work, telephone, and one more
KNOWN_ACCOUNTS = 100_000
